"""The recurrent highway layer with its products batched over the window: signature and values of `layers.rhn.rhn_loop`.

What does not wait for the state before it is done once for all steps: W x before the loop, and after the loop of the
backward pass the gradients of all weights, where the definition adds T x L small outer products into 2H x H arrays. The
loops themselves hold one product and a few passes over its elements a depth, into buffers made beforehand, and
autograd keeps no record of them. Kept for the backward pass: states, candidates and gates, [T, L, B, H] each. With
d s_l the gradient that arrives at s_l:

    d s_{l-1} = (1 - t) d s_l + m * (R_H' d a + R_T' d b)
    d a = t (1 - h^2) d s_l             of what stands in the tanh
    d b = t (1 - t) (h - s_{l-1}) d s_l of what stands in the sigmoid
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from tiedlm.layers.rhn import RHNWeights, check_rhn
from tiedlm.layers.variational import apply_mask


def rhn_batched(inputs: Tensor, state: Tensor, weights: RHNWeights, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Run one layer over a window; arguments, results and errors as for `rhn_loop`. It has no second derivative.

    Autocast leaves it alone: its products are small, and every one of them would round its weights anew.
    """
    check_rhn(inputs, state, weights, mask)
    with torch.autocast(inputs.device.type, enabled=False):
        projected = inputs @ weights.input.T
        outputs = cast(Tensor, _Recurrence.apply(projected, state, weights.hidden, weights.bias, mask))
    return outputs, outputs[-1]


class _Recurrence(torch.autograd.Function):
    """From W x of all steps to the outputs of all steps."""

    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, state: Tensor, hidden: Tensor, bias: Tensor, mask: Tensor | None
    ) -> Tensor:
        states, candidates, gates = _run(projected, state, hidden, bias, mask)
        ctx.save_for_backward(states, candidates, gates, hidden, mask)
        return states[hidden.shape[0] :: hidden.shape[0]].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *arriving: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        states, candidates, gates, hidden, mask = ctx.saved_tensors
        of_both, of_state = _run_back(arriving[0], states, candidates, gates, hidden, mask)
        read = apply_mask(states[:-1].view(candidates.shape), mask)
        of_hidden = torch.stack(
            [of_both[:, depth].flatten(0, 1).T @ read[:, depth].flatten(0, 1) for depth in range(len(hidden))]
        )
        return of_both[:, 0], of_state, of_hidden, of_both.sum((0, 2)), None


def _run(
    projected: Tensor, state: Tensor, hidden: Tensor, bias: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return all states [T L + 1, B, H], from the one before the window on, and candidates and gates [T, L, B, H]."""
    steps, (streams, units), depths = len(projected), state.shape, len(hidden)
    states = state.new_empty(steps * depths + 1, streams, units)
    candidates, gates = (state.new_empty(steps, depths, streams, units) for _ in range(2))
    states[0] = state
    masked, first, maps = torch.empty_like(state), projected + bias[0], [each.T for each in hidden]
    place = 0
    for step in range(steps):
        for depth in range(depths):
            before, after, added = states[place], states[place + 1], first[step] if depth == 0 else bias[depth]
            read = before if mask is None else torch.mul(before, mask, out=masked)
            both = torch.addmm(added, read, maps[depth])
            candidate = torch.tanh(both[:, :units], out=candidates[step, depth])
            gate = torch.sigmoid(both[:, units:], out=gates[step, depth])
            torch.lerp(before, candidate, gate, out=after)
            place += 1
    return states, candidates, gates


def _run_back(
    arriving: Tensor, states: Tensor, candidates: Tensor, gates: Tensor, hidden: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the gradients of what stands in tanh and sigmoid [T, L, B, 2H], and of the state before the window."""
    steps, depths, streams, units = candidates.shape
    of_both = candidates.new_empty(steps, depths, streams, 2 * units)
    before = states[:-1].view(candidates.shape)
    to_candidate = gates * (1 - candidates.square())
    to_gate = gates * (1 - gates) * (candidates - before)
    kept = 1 - gates
    gradient, back = (torch.zeros_like(states[0]) for _ in range(2))
    for step in reversed(range(steps)):
        gradient += arriving[step]
        for depth in reversed(range(depths)):
            both = of_both[step, depth]
            torch.mul(gradient, to_candidate[step, depth], out=both[:, :units])
            torch.mul(gradient, to_gate[step, depth], out=both[:, units:])
            torch.mm(both, hidden[depth], out=back)
            gradient *= kept[step, depth]
            if mask is None:
                gradient += back
            else:
                gradient.addcmul_(back, mask)
    return of_both, gradient
