"""The recurrent highway layer with its products batched over the window: signature and values of `layers.rhn.rhn_loop`.

What does not wait for the state before it is done once for all steps: W x before the steps, and after those of the
backward pass the gradients of all weights, where the definition adds T x L small outer products into 2H x H arrays. The
steps themselves (`layers.rhn_steps`) hold one product and a few passes over its elements a depth, into arrays made
beforehand, and autograd keeps no record of them. Under autocast the batched products take its type; the steps do not.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from tiedlm.derivatives import refuse_double_backward
from tiedlm.layers.precision import type_of_products
from tiedlm.layers.rhn import RHNWeights, check_rhn
from tiedlm.layers.rhn_steps import CompiledSteps, Kept, PlainSteps, Steps
from tiedlm.layers.variational import apply_mask


def rhn_batched(inputs: Tensor, state: Tensor, weights: RHNWeights, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Run one layer over a window; arguments, results and errors as for `rhn_loop`.

    A gradient of the gradient is an ArgumentError.
    """
    return _layer(inputs, state, weights, mask, PlainSteps())


def rhn_compiled(inputs: Tensor, state: Tensor, weights: RHNWeights, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Run one layer over a window on a CPU with its steps in C++; arguments, results and errors as for `rhn_batched`.

    Numbers other than float32 and float64 are an ArgumentError too.
    """
    return _layer(inputs, state, weights, mask, CompiledSteps())


def _layer(
    inputs: Tensor, state: Tensor, weights: RHNWeights, mask: Tensor | None, steps: Steps
) -> tuple[Tensor, Tensor]:
    check_rhn(inputs, state, weights, mask)
    products = type_of_products(weights.hidden)
    with torch.autocast(inputs.device.type, enabled=False):
        projected = (inputs.to(products) @ weights.input.to(products).T).to(weights.hidden.dtype)
        recurrent = (state, weights.hidden, weights.bias, mask)
        outputs = cast(Tensor, _Recurrence.apply(projected, *recurrent, steps, products))
    return outputs, outputs[-1]


class _Recurrence(torch.autograd.Function):
    """From W x of all steps to the outputs of all steps."""

    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        state: Tensor,
        hidden: Tensor,
        bias: Tensor,
        mask: Tensor | None,
        steps: Steps,
        products: torch.dtype,
    ) -> Tensor:
        kept = steps.run(projected, state, hidden, bias, mask)
        ctx.save_for_backward(*kept, hidden, mask)
        ctx.steps, ctx.products = steps, products
        return kept.states[hidden.shape[0] :: hidden.shape[0]].clone()

    @staticmethod
    def backward(ctx: Any, *arriving: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        refuse_double_backward("this form of the layer gives", "rhn_loop")
        *kept, hidden, mask = ctx.saved_tensors
        kept = Kept(*kept)
        of_both, of_state = ctx.steps.run_back(arriving[0], kept, hidden, mask)
        read = apply_mask(kept.states[:-1].view(kept.gates.shape), mask).to(ctx.products)
        rounded = of_both.to(ctx.products)
        of_hidden = [rounded[:, n].flatten(0, 1).T @ read[:, n].flatten(0, 1) for n in range(len(hidden))]
        of_bias = of_both.sum((0, 2))
        return of_both[:, 0], of_state, torch.stack(of_hidden).to(hidden.dtype), of_bias, None, None, None
