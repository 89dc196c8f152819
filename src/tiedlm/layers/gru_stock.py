"""The masked GRU layer on PyTorch's stock kernel: signature and values of `layers.gru.gru_loop`, no loop in Python.

Within a window a dropped unit is read by nobody: the mask shuts it in time and in depth. So the kernel may hold it at
0: its state starts at 0, and its stream's column of W_ih (`layers.stream_columns`) drives its update gate to 1, where
h_t = 0 n + 1 h_{t-1}. W_hh / keep and a factor 1/keep on the output do the scaling, and the carried z * h_{t-1} of the
kept units is raw, as it has to be.

What the kernel does not tell is the raw h of the dropped units after the window, which the next window carries. Every z
and n follows from the outputs, by one product over all steps, and the recurrence has the closed form

    h_T = h_0 prod_t z_t + sum_t (1 - z_t) n_t prod_{s > t} z_s

That product is as large as all of the kernel's: unlike the LSTM's trick, this one doubles the work of the forward pass.
It pays where a loop is bound by launches and not by products, as on a GPU (where it has not been run yet); on a CPU,
650 units under a mask take 1.7 times as long as the loop. `layers.gru_pick` chooses.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tiedlm.layers.gru import GRUWeights, check_gru, gates
from tiedlm.layers.kernel_weights import one_after_another
from tiedlm.layers.precision import leaves_autocast
from tiedlm.layers.stream_columns import with_columns, with_streams

HELD = 1000.0
"""Added to a dropped unit's update gate: its sigmoid is exactly 1 in float32 and float64 for any gate above -900."""


def gru_stock(inputs: Tensor, state: Tensor, weights: GRUWeights, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Run one layer over a window; arguments, results and errors as for `gru_loop`.

    The mask may hold only 0 and one other value, 1/keep, as `draw_mask` makes it. Where a GPU has no kernel for
    autocast's type, the layer runs in that of its weights.
    """
    check_gru(inputs, state, weights, mask)
    device = inputs.device.type
    if device != "cpu" and leaves_autocast(weights.hidden):
        with torch.autocast(device, enabled=False):
            return _layer(inputs.to(weights.hidden.dtype), state, weights, mask)
    return _layer(inputs, state, weights, mask)


def _layer(inputs: Tensor, state: Tensor, weights: GRUWeights, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    if mask is None:
        return _kernel(inputs, state, weights)
    scale, kept = mask.max(), mask != 0
    outputs, last = _kernel(with_streams(inputs), state * kept, _with_gates(weights, kept, scale))
    outputs = outputs * scale
    before = torch.cat([(state * mask).unsqueeze(0), outputs[:-1]])
    return outputs, torch.where(kept, last, _carried(inputs, before, state, weights))


def _with_gates(weights: GRUWeights, kept: Tensor, scale: Tensor) -> GRUWeights:
    """Extend W_ih by the columns that hold dropped units, and divide W_hh by keep."""
    return weights._replace(input=with_columns(weights.input, kept, 1, HELD), hidden=weights.hidden * scale)


def _carried(inputs: Tensor, before: Tensor, state: Tensor, weights: GRUWeights) -> Tensor:
    """Return the raw h after the window of every unit, from the masked h before every step [T, B, H]."""
    from_input = inputs @ weights.input.T + weights.input_bias
    update, candidate = gates(from_input, before @ weights.hidden.T + weights.hidden_bias)
    onward = update.flip(0).cumprod(0).flip(0)  # [t]: the product of z from t to the end
    later = torch.cat([onward[1:], torch.ones_like(onward[:1])])
    return onward[0] * state + ((1 - update) * candidate * later).sum(0)


def _kernel(inputs: Tensor, state: Tensor, weights: GRUWeights) -> tuple[Tensor, Tensor]:
    """Call PyTorch's GRU for one layer in one direction; the state keeps its type where autocast has another."""
    parameters = one_after_another(weights) if inputs.is_cuda else list(weights)
    outputs, last = torch.gru(inputs, state.unsqueeze(0).contiguous(), parameters, True, 1, 0.0, True, False, False)
    return outputs, last[0].to(state.dtype)
