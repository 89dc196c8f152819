"""Which form of the LSTM layer runs, under the signature of all."""

from __future__ import annotations

from torch import Tensor

from tiedlm.layers.lstm import LSTMState, LSTMWeights
from tiedlm.layers.lstm_batched import lstm_batched
from tiedlm.layers.lstm_stock import lstm_stock

BATCHED_UNITS = 1000
"""Units from which the batched form runs on a CPU: on two threads the stock form is ahead at 200 and at 650."""
_FORMS = {"batched": lstm_batched, "stock": lstm_stock}


def lstm_pick(inputs: Tensor, state: LSTMState, weights: LSTMWeights, mask: Tensor | None) -> tuple[Tensor, LSTMState]:
    """Run one layer over a window by the form that `picked` names; arguments, results and errors as for `lstm_loop`."""
    form, _ = picked(inputs.device.type, masked=mask is not None, units=weights.hidden.shape[1])
    return _FORMS[form](inputs, state, weights, mask)


def picked(device: str, *, masked: bool, units: int) -> tuple[str, str]:
    """Return which form runs, `batched` or `stock`, and why, in words.

    Args:
        device: type of the tensors' device.
        masked: whether there is a mask.
        units: H.
    """
    if not masked:
        return "stock", "without a mask the stock kernel is the layer"
    if device == "cpu" and units < BATCHED_UNITS:
        return "stock", f"with fewer than {BATCHED_UNITS} units its kernel gains more than its wider weights cost"
    if device == "cpu":
        return "batched", "on a CPU the stock form's wider weights and their copies cost more than its kernel gains"
    return "stock", f"on {device} a loop over steps is bound by launches, not by products"
