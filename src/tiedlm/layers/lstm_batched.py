"""The masked LSTM layer with all products but W_hh h batched over the steps, whatever runs the steps themselves.

What does not wait for the step before is done once for all steps by PyTorch's matrix products: W_ih x and the bias
before the steps, and after those of the backward pass the gradients of inputs and weights, where the definition adds T
outer products into [4H, H]. The steps, the product with W_hh and what the gates do, are one call (`Steps`). Kept for
the backward pass: gates [T, B, 4H], cells, their tanh, and masked outputs. With d h_t and d c_t the gradients that
arrive at the raw output and at the cell:

    d h_t = m * (d output_t + W_hh' d a_{t+1})                      a: what stands in the nonlinearities, (i, f, g, o)
    d c_t = d c_{t+1} f_{t+1} + d h_t o_t (1 - tanh^2 c_t)
    d a_t = (d c_t g i (1 - i), d c_t c_{t-1} f (1 - f), d c_t i (1 - g^2), d h_t tanh(c_t) o (1 - o))

Under autocast the products by PyTorch take its type, and add up in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from tiedlm.derivatives import refuse_double_backward
from tiedlm.layers.lstm import LSTMState, LSTMWeights
from tiedlm.layers.precision import type_of_products
from tiedlm.layers.variational import apply_mask


class Kept(NamedTuple):
    """What the backward pass needs of the forward one."""

    gates: Tensor
    """Gates i, f, candidate g and gate o of every step [T, B, 4H]."""
    cells: Tensor
    """c before the window, then after every step [T + 1, B, H]."""
    bounded: Tensor
    """tanh(c) after every step [T, B, H]."""
    read: Tensor
    """Masked h before the window, then after every step [T + 1, B, H]: what W_hh reads, and the outputs."""


def room(projected: Tensor, state: LSTMState, mask: Tensor | None, read_as: torch.dtype) -> tuple[Kept, Tensor]:
    """Return room for what a window keeps, begun with the state before it, and for the raw h after it [B, H].

    Args:
        projected: W_ih x + b [T, B, 4H], in whose place the gates come.
        state: raw h and c before the window.
        mask: of the layer.
        read_as: type in which W_hh reads h.
    """
    hidden, cell = state
    steps, last = len(projected), torch.empty_like(hidden, memory_format=torch.contiguous_format)
    cells = hidden.new_empty(steps + 1, *hidden.shape)
    read = hidden.new_empty(steps + 1, *hidden.shape, dtype=read_as)
    cells[0], read[0] = cell, apply_mask(hidden, mask)
    return Kept(projected, cells, hidden.new_empty(steps, *hidden.shape), read), last


class Steps(NamedTuple):
    """What runs the steps of a window, forward and back."""

    forward: Callable[[Tensor, LSTMState, Tensor, Tensor | None], tuple[Kept, Tensor]]
    """From W_ih x + b [T, B, 4H], where the gates may be put, the state, W_hh and the mask: what is kept and raw h."""
    back: Callable[[tuple[Tensor, ...], Kept, Tensor, Tensor | None], tuple[Tensor, Tensor, Tensor]]
    """From the gradients of outputs [T, B, H], raw h and c, what is kept, W_hh and the mask: d a, and h's and c's."""
    name: str
    """Of the layer that has these steps."""


def run_layer(
    steps: Steps, inputs: Tensor, state: LSTMState, weights: LSTMWeights, mask: Tensor | None
) -> tuple[Tensor, LSTMState]:
    """Run one layer over a window; all but the steps as for `lstm_loop`, which checks nothing here.

    A gradient of the gradient is an ArgumentError.
    """
    outputs, hidden, cell = cast("tuple[Tensor, ...]", _Layer.apply(steps, inputs, *state, *weights, mask))
    return outputs, (hidden, cell)


class _Layer(torch.autograd.Function):
    """The layer with a backward pass of its own."""

    @staticmethod
    def forward(
        ctx: Any,
        steps: Steps,
        inputs: Tensor,
        hidden: Tensor,
        cell: Tensor,
        weight_input: Tensor,
        weight_hidden: Tensor,
        bias: Tensor,
        mask: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.steps, products = steps, type_of_products(weight_input)
        flat, weight_input = inputs.flatten(0, 1).to(products), weight_input.to(products)
        projected = torch.addmm(bias.to(products), flat, weight_input.T).to(bias.dtype).view(*inputs.shape[:2], -1)
        kept, last = steps.forward(projected, (hidden, cell), weight_hidden, mask)
        ctx.save_for_backward(*kept, flat, weight_input, weight_hidden, mask)
        return kept.read[1:].to(bias.dtype, copy=True), last, kept.cells[-1].clone()

    @staticmethod
    def backward(ctx: Any, *arriving: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        refuse_double_backward(f"{ctx.steps.name} gives", "lstm_loop")
        *kept, inputs, weight_input, weight_hidden, mask = ctx.saved_tensors
        kept, own = Kept(*kept), weight_hidden.dtype
        of_sums, of_hidden, of_cell = ctx.steps.back(arriving, kept, weight_hidden, mask)
        flat, before = of_sums.flatten(0, 1).to(inputs.dtype), kept.read[:-1].flatten(0, 1).to(inputs.dtype)
        of_inputs = (flat @ weight_input).to(own).unflatten(0, of_sums.shape[:2]) if ctx.needs_input_grad[1] else None
        of_weights = (flat.T @ inputs).to(own), (flat.T @ before).to(own), of_sums.sum((0, 1), dtype=own)
        return None, of_inputs, of_hidden, of_cell, *of_weights, None
