"""Which form of the recurrent highway layer runs, under the signature of all."""

from __future__ import annotations

from torch import Tensor

from tiedlm.layers.compiled_steps import why_not
from tiedlm.layers.rhn import RHNWeights
from tiedlm.layers.rhn_batched import rhn_batched, rhn_compiled

_FORMS = {"compiled": rhn_compiled, "batched": rhn_batched}


def rhn_pick(inputs: Tensor, state: Tensor, weights: RHNWeights, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Run one layer over a window by the form that `picked` names; arguments, results and errors as for `rhn_loop`."""
    form, _ = picked(inputs.device.type, units=weights.hidden.shape[2])
    return _FORMS[form](inputs, state, weights, mask)


def picked(device: str, *, units: int) -> tuple[str, str]:
    """Return which form runs, `compiled` or `batched`, and why, in words.

    Args:
        device: type of the tensors' device.
        units: H.
    """
    if device != "cpu":
        return "batched", f"there are no compiled steps for {device}"
    reason = why_not(units)
    if reason is not None:
        return "batched", reason
    return "compiled", "a product and its gates are faster in one loop of C++"
