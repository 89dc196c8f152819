"""One recurrent highway layer under a variational mask: the definition, a loop over time and over depth.

With m the mask on the state [B, H], held for the whole window and for every depth, and s_0 of a step = s_L of the step
before (Zilly et al. 2017, Recurrent Highway Networks, equations 6 to 9):

    h_l = tanh(W_H x_t [l = 1] + R_Hl (m * s_{l-1}) + b_Hl)             eq. 7
    t_l = sigmoid(W_T x_t [l = 1] + R_Tl (m * s_{l-1}) + b_Tl)          eq. 8
    c_l = 1 - t_l                                                       eq. 9, the gates coupled as in their results
    s_l = h_l * t_l + s_{l-1} * c_l                                     eq. 6
    output_t = s_L                          raw; a mask on x and one on the output are the model's, not the layer's

Candidate and gate see the same mask, and what is carried past them is raw: in the authors' TensorFlow code so
(github.com/julian121266/RecurrentHighwayNetworks, rhn.py), and a carry that were masked again and again at every depth
would vanish, or grow by 1/keep each time. `layers.rhn_batched` has the same signature.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError
from tiedlm.layers.shapes import check_layer
from tiedlm.layers.variational import apply_mask


class RHNWeights(NamedTuple):
    """Parameters of one layer; I is the width of its input, L its depth. Rows: H of candidates, then H of gates."""

    input: Tensor
    """W_H over W_T [2H, I]."""
    hidden: Tensor
    """R_Hl over R_Tl [L, 2H, H]."""
    bias: Tensor
    """b_Hl over b_Tl [L, 2H]."""


def rhn_loop(inputs: Tensor, state: Tensor, weights: RHNWeights, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Run one layer over a window.

    Args:
        inputs: x [T, B, I], already masked.
        state: s before the window [B, H].
        weights: parameters of the layer; their depth is the recurrence depth L.
        mask: 0 or 1/keep [B, H], or None for no mask.

    Returns:
        The outputs [T, B, H], and the state after the window [B, H]: the last output.

    Raises:
        ArgumentError: shapes, types or devices that do not go together.
    """
    check_rhn(inputs, state, weights, mask)
    outputs = []
    for step in inputs:
        for depth, (hidden, bias) in enumerate(zip(weights.hidden, weights.bias, strict=True)):
            both = apply_mask(state, mask) @ hidden.T + bias
            if depth == 0:
                both = both + step @ weights.input.T
            candidate, gate = both.chunk(2, dim=1)
            candidate, gate = candidate.tanh(), gate.sigmoid()
            state = candidate * gate + state * (1 - gate)
        outputs.append(state)
    return torch.stack(outputs), state


def check_rhn(inputs: Tensor, state: Tensor, weights: RHNWeights, mask: Tensor | None) -> None:
    """Refuse inputs, state and mask that do not go together with the weights, and weights that do not."""
    depth, rows, units = weights.hidden.shape
    if depth < 1 or rows != 2 * units or weights.input.shape[0] != rows or weights.bias.shape != (depth, rows):
        raise ArgumentError(
            f"weights have the shapes {[list(part.shape) for part in weights]}, but must be [2H, I], [L, 2H, H] and "
            "[L, 2H] for H units and a depth of L, 1 or more."
        )
    check_layer(inputs, {"s": state}, mask, weights._asdict())
