"""The masked LSTM layer with its steps in C++: signature and values of `layers.lstm.lstm_loop`.

What does not wait for the step before is done once for all steps by PyTorch's matrix products: W_ih x and the bias
before the steps, and after those of the backward pass the gradients of inputs and weights, where the definition adds T
outer products into [4H, H]. The steps themselves, the product with W_hh and what the gates do, are one call of a loop
(`native/loops/lstm.cpp`). Kept for the backward pass: gates [T, B, 4H], cells, their tanh, and masked outputs. With
d h_t and d c_t the gradients that arrive at the raw output and at the cell:

    d h_t = m * (d output_t + W_hh' d a_{t+1})                      a: what stands in the nonlinearities, (i, f, g, o)
    d c_t = d c_{t+1} f_{t+1} + d h_t o_t (1 - tanh^2 c_t)
    d a_t = (d c_t g i (1 - i), d c_t c_{t-1} f (1 - f), d c_t i (1 - g^2), d h_t tanh(c_t) o (1 - o))

Under autocast to bfloat16 the products by PyTorch take bfloat16 and add up in float32; the steps are float32 always.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from tiedlm.derivatives import refuse_double_backward
from tiedlm.layers.compiled_steps import check_type
from tiedlm.layers.lstm import LSTMState, LSTMWeights, check_lstm
from tiedlm.layers.lstm_steps import Kept, run_back, run_forward
from tiedlm.layers.precision import type_of_products


def lstm_compiled(
    inputs: Tensor, state: LSTMState, weights: LSTMWeights, mask: Tensor | None
) -> tuple[Tensor, LSTMState]:
    """Run one layer over a window on a CPU; arguments, results and errors as for `lstm_loop`.

    A gradient of the gradient is an ArgumentError, and so are numbers other than float32 and float64.
    """
    check_lstm(inputs, state, weights, mask)
    check_type(weights.hidden.dtype, instead="lstm_stock")
    outputs, hidden, cell = cast("tuple[Tensor, ...]", _Layer.apply(inputs, *state, *weights, mask))
    return outputs, (hidden, cell)


class _Layer(torch.autograd.Function):
    """The layer with a backward pass of its own."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        hidden: Tensor,
        cell: Tensor,
        weight_input: Tensor,
        weight_hidden: Tensor,
        bias: Tensor,
        mask: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        products = type_of_products(weight_input)
        flat, weight_input = inputs.flatten(0, 1).to(products), weight_input.to(products)
        projected = torch.addmm(bias.to(products), flat, weight_input.T).to(bias.dtype).view(*inputs.shape[:2], -1)
        kept, last = run_forward(projected, (hidden, cell), weight_hidden, mask)
        ctx.save_for_backward(*kept, flat, weight_input, weight_hidden, mask)
        return kept.read[1:].clone(), last, kept.cells[-1].clone()

    @staticmethod
    def backward(ctx: Any, *arriving: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        refuse_double_backward("lstm_compiled gives", "lstm_loop")
        *kept, inputs, weight_input, weight_hidden, mask = ctx.saved_tensors
        kept = Kept(*kept)
        of_sums, of_hidden, of_cell = run_back(arriving, kept, weight_hidden, mask)
        flat, own = of_sums.flatten(0, 1).to(inputs.dtype), of_sums.dtype
        before = kept.read[:-1].flatten(0, 1).to(inputs.dtype)
        of_inputs = (flat @ weight_input).to(own).unflatten(0, of_sums.shape[:2]) if ctx.needs_input_grad[0] else None
        of_weights = (flat.T @ inputs).to(own), (flat.T @ before).to(own), of_sums.sum((0, 1))
        return of_inputs, of_hidden, of_cell, *of_weights, None
