"""One LSTM layer under a variational mask: the definition, a loop over time.

With m the layer's mask [B, H], held for the whole window, and gates in PyTorch's order (i, f, g, o):

    i, f, g, o = W_ih x_t + W_hh (m * h_{t-1}) + b
    c_t = sigmoid(f) * c_{t-1} + sigmoid(i) * tanh(g)
    h_t = sigmoid(o) * tanh(c_t)            raw; this is what is carried into the next window
    output_t = m * h_t                      the same mask in time and in depth

Without a mask this is `torch.nn.LSTM` with one bias instead of a sum of two. `layers.lstm_compiled` and
`layers.lstm_stock` have the same signature.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tiedlm.layers.shapes import check_gates, check_layer
from tiedlm.layers.variational import apply_mask


class LSTMWeights(NamedTuple):
    """Parameters of one layer; I is the width of its input."""

    input: Tensor
    """W_ih [4H, I]."""
    hidden: Tensor
    """W_hh [4H, H]."""
    bias: Tensor
    """b [4H]."""


LSTMState = tuple[Tensor, Tensor]
"""Raw output h and cell c of the last step, each [B, H]."""


def lstm_loop(inputs: Tensor, state: LSTMState, weights: LSTMWeights, mask: Tensor | None) -> tuple[Tensor, LSTMState]:
    """Run one layer over a window.

    Args:
        inputs: x [T, B, I], already masked by the layer below.
        state: raw h and c before the window, each [B, H].
        weights: parameters of the layer.
        mask: 0 or 1/keep [B, H], or None for no mask.

    Returns:
        The masked outputs [T, B, H], and the raw state after the window.

    Raises:
        ArgumentError: shapes, types or devices that do not go together.
    """
    check_lstm(inputs, state, weights, mask)
    hidden, cell = state
    projected = inputs @ weights.input.T + weights.bias
    outputs = []
    masked = apply_mask(hidden, mask)
    for step in projected:
        gate_i, gate_f, candidate, gate_o = (step + masked @ weights.hidden.T).chunk(4, dim=1)
        cell = gate_f.sigmoid() * cell + gate_i.sigmoid() * candidate.tanh()
        hidden = gate_o.sigmoid() * cell.tanh()
        masked = apply_mask(hidden, mask)
        outputs.append(masked)
    return torch.stack(outputs), (hidden, cell)


def check_lstm(inputs: Tensor, state: LSTMState, weights: LSTMWeights, mask: Tensor | None) -> None:
    """Refuse inputs, state and mask that do not go together with the weights, and weights that do not."""
    check_gates(weights._asdict(), gates=4)
    hidden, cell = state
    check_layer(inputs, {"h": hidden, "c": cell}, mask, weights._asdict())
