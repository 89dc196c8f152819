"""Which form of the LSTM layer runs, under the signature of all."""

from __future__ import annotations

from torch import Tensor

from tiedlm.layers.compiled_steps import why_not
from tiedlm.layers.lstm import LSTMState, LSTMWeights
from tiedlm.layers.lstm_compiled import lstm_compiled
from tiedlm.layers.lstm_stock import lstm_stock

_FORMS = {"compiled": lstm_compiled, "stock": lstm_stock}


def lstm_pick(inputs: Tensor, state: LSTMState, weights: LSTMWeights, mask: Tensor | None) -> tuple[Tensor, LSTMState]:
    """Run one layer over a window by the form that `picked` names; arguments, results and errors as for `lstm_loop`."""
    form, _ = picked(inputs.device.type, masked=mask is not None, units=weights.hidden.shape[1])
    return _FORMS[form](inputs, state, weights, mask)


def picked(device: str, *, masked: bool, units: int) -> tuple[str, str]:
    """Return which form runs, `compiled` or `stock`, and why, in words.

    Args:
        device: type of the tensors' device.
        masked: whether there is a mask.
        units: H.
    """
    if not masked:
        return "stock", "without a mask the stock kernel is the layer"
    if device != "cpu":
        return "stock", f"on {device} the kernel that is there needs no loop over steps"
    reason = why_not(units)
    if reason is not None:
        return "stock", reason
    return "compiled", "its steps are faster than the stock kernel's, whose weights the masks make wider"
