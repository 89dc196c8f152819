"""The GRU layer under a variational mask: the definition, and PyTorch's kernel where there is no mask.

With m the layer's mask [B, H], held for the whole window, and gates in PyTorch's order (r, z, n):

    r = sigmoid(W_ir x_t + b_ir + W_hr (m * h_{t-1}) + b_hr)
    z = sigmoid(W_iz x_t + b_iz + W_hz (m * h_{t-1}) + b_hz)
    n = tanh(W_in x_t + b_in + r * (W_hn (m * h_{t-1}) + b_hn))
    h_t = (1 - z) * n + z * h_{t-1}         raw; this is what is carried into the next window
    output_t = m * h_t                      the same mask in time and in depth

The mask applies wherever h is read by weights: its own in the next step, and those of the layer above. z * h_{t-1} is
memory, like an LSTM's cell, and stays raw: masked anew at every step it would vanish, or grow by 1/keep each time.
Without a mask this is `torch.nn.GRU`.
"""

from __future__ import annotations

from typing import NamedTuple, final

import torch
from torch import Tensor, nn

from tiedlm.nn.cells import check_cell, flatten_weights, runs_outside_autocast, select_form
from tiedlm.nn.dropout import apply_mask


class GRUWeights(NamedTuple):
    """Parameters of one layer; I is the width of its input. Two biases, as r stands between those of n."""

    input: Tensor
    """W_ih [3H, I]."""
    hidden: Tensor
    """W_hh [3H, H]."""
    input_bias: Tensor
    """b_ih [3H]."""
    hidden_bias: Tensor
    """b_hh [3H]."""


@final
class GRULayer(nn.Module):
    """Parameters of one GRU layer, run in the form that `select_form` names."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.weight_input = nn.Parameter(torch.empty(3 * units, inputs))
        self.weight_hidden = nn.Parameter(torch.empty(3 * units, units))
        self.bias_input = nn.Parameter(torch.empty(3 * units))
        self.bias_hidden = nn.Parameter(torch.empty(3 * units))

    def forward(
        self, inputs: Tensor, state: tuple[Tensor], masks: tuple[Tensor | None]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return masked outputs [T, B, H] and the raw state after them."""
        weights = GRUWeights(self.weight_input, self.weight_hidden, self.bias_input, self.bias_hidden)
        outputs, last = gru(inputs, state[0], weights, masks[0])
        return outputs, (last,)


def gru(inputs: Tensor, state: Tensor, weights: GRUWeights, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Run one layer over a window in the form that `select_form` names; otherwise as `gru_loop`."""
    form, _ = select_form("gru", inputs.device.type, masked=mask is not None, units=weights.hidden.shape[-1])
    return gru_stock(inputs, state, weights) if form == "stock" else gru_loop(inputs, state, weights, mask)


def gru_loop(inputs: Tensor, state: Tensor, weights: GRUWeights, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Run one layer over a window.

    Inputs x [T, B, I], already masked by the layer below; state raw h before the window [B, H]; mask 0 or 1/keep
    [B, H], or None. Returns the masked outputs [T, B, H] and the raw h after the window. Shapes, types or devices that
    do not go together are an ArgumentError.
    """
    _check(inputs, state, weights, mask)
    masked = apply_mask(state, mask)
    outputs = []
    for step in inputs @ weights.input.T + weights.input_bias:
        input_r, input_z, input_n = step.chunk(3, dim=-1)
        state_r, state_z, state_n = (masked @ weights.hidden.T + weights.hidden_bias).chunk(3, dim=-1)
        reset, update = (input_r + state_r).sigmoid(), (input_z + state_z).sigmoid()
        candidate = (input_n + reset * state_n).tanh()
        state = (1 - update) * candidate + update * state
        masked = apply_mask(state, mask)
        outputs.append(masked)
    return torch.stack(outputs), state


def gru_stock(inputs: Tensor, state: Tensor, weights: GRUWeights) -> tuple[Tensor, Tensor]:
    """Run one layer without a mask over a window on PyTorch's kernel; otherwise as `gru_loop`.

    Where a GPU has no kernel for autocast's type, the layer runs in that of its weights, which the state always has.
    """
    _check(inputs, state, weights, None)
    if inputs.is_cuda and runs_outside_autocast(weights.hidden):
        with torch.autocast("cuda", enabled=False):
            return _kernel(inputs.to(weights.hidden.dtype), state, weights)
    return _kernel(inputs, state, weights)


def _kernel(inputs: Tensor, state: Tensor, weights: GRUWeights) -> tuple[Tensor, Tensor]:
    parameters = flatten_weights(weights) if inputs.is_cuda else list(weights)
    outputs, last = torch.gru(inputs, state.unsqueeze(0).contiguous(), parameters, True, 1, 0.0, True, False, False)
    return outputs, last[0].to(state.dtype)


def _check(inputs: Tensor, state: Tensor, weights: GRUWeights, mask: Tensor | None) -> None:
    units = weights.hidden.shape[-1]
    shapes = {"input": (3 * units, weights.input.shape[-1]), "hidden": (3 * units, units)}
    biases = dict.fromkeys(("input_bias", "hidden_bias"), (3 * units,))
    check_cell(inputs, {"h": state}, mask, weights._asdict(), shapes | biases)
