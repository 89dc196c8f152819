"""Which form of the GRU layer runs, under the signature of both."""

from __future__ import annotations

from torch import Tensor

from tiedlm.layers.gru import GRUWeights, gru_loop
from tiedlm.layers.gru_stock import gru_stock

_FORMS = {"loop": gru_loop, "stock": gru_stock}


def gru_pick(inputs: Tensor, state: Tensor, weights: GRUWeights, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Run one layer over a window by the form that `picked` names; arguments, results and errors as for `gru_loop`."""
    form, _ = picked(inputs.device.type, masked=mask is not None)
    return _FORMS[form](inputs, state, weights, mask)


def picked(device: str, *, masked: bool) -> tuple[str, str]:
    """Return which form runs, `loop` or `stock`, and why, in words.

    Args:
        device: type of the tensors' device.
        masked: whether there is a mask.
    """
    if not masked:
        return "stock", "without a mask the stock kernel is the layer"
    if device == "cpu":
        return "loop", "on a CPU the stock form's second product over all steps costs more than the loop does"
    return "stock", f"on {device} a loop over steps is bound by launches, not by products"
