"""One GRU layer under a variational mask: the definition, a loop over time.

With m the layer's mask [B, H], held for the whole window, and gates in PyTorch's order (r, z, n):

    r = sigmoid(W_ir x_t + b_ir + W_hr (m * h_{t-1}) + b_hr)
    z = sigmoid(W_iz x_t + b_iz + W_hz (m * h_{t-1}) + b_hz)
    n = tanh(W_in x_t + b_in + r * (W_hn (m * h_{t-1}) + b_hn))
    h_t = (1 - z) * n + z * h_{t-1}         raw; this is what is carried into the next window
    output_t = m * h_t                      the same mask in time and in depth

The mask stands wherever h is read by weights: its own in the next step, and those of the layer above. z * h_{t-1} is
memory, like an LSTM's cell, and stays raw: masked anew at every step it would vanish, or grow by 1/keep each time.
Without a mask this is `torch.nn.GRU`. `layers.gru_stock` has the same signature.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tiedlm.layers.shapes import check_gates, check_layer
from tiedlm.layers.variational import apply_mask


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


def gru_loop(inputs: Tensor, state: Tensor, weights: GRUWeights, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Run one layer over a window.

    Args:
        inputs: x [T, B, I], already masked by the layer below.
        state: raw h before the window [B, H].
        weights: parameters of the layer.
        mask: 0 or 1/keep [B, H], or None for no mask.

    Returns:
        The masked outputs [T, B, H], and the raw h after the window [B, H].

    Raises:
        ArgumentError: shapes, types or devices that do not go together.
    """
    check_gru(inputs, state, weights, mask)
    masked = apply_mask(state, mask)
    outputs = []
    for step in inputs @ weights.input.T + weights.input_bias:
        update, candidate = gates(step, masked @ weights.hidden.T + weights.hidden_bias)
        state = (1 - update) * candidate + update * state
        masked = apply_mask(state, mask)
        outputs.append(masked)
    return torch.stack(outputs), state


def gates(from_input: Tensor, from_state: Tensor) -> tuple[Tensor, Tensor]:
    """Return the update gate z and the candidate n [..., H] of what input and state bring to them, [..., 3H] each."""
    (input_r, input_z, input_n), (state_r, state_z, state_n) = from_input.chunk(3, dim=-1), from_state.chunk(3, dim=-1)
    reset = (input_r + state_r).sigmoid()
    return (input_z + state_z).sigmoid(), (input_n + reset * state_n).tanh()


def check_gru(inputs: Tensor, state: Tensor, weights: GRUWeights, mask: Tensor | None) -> None:
    """Refuse inputs, state and mask that do not go together with the weights, and weights that do not."""
    check_gates(weights._asdict(), gates=3)
    check_layer(inputs, {"h": state}, mask, weights._asdict())
