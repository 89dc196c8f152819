"""The steps of a recurrent highway layer with its own backward pass (`layers.rhn_batched`): loops in Python, or in C++.

Both keep states, candidates and gates of every depth of every step. With d s_l the gradient that arrives at s_l:

    d s_{l-1} = (1 - t) d s_l + m * (R_H' d a + R_T' d b)
    d a = t (1 - h^2) d s_l             of what stands in the tanh
    d b = t (1 - t) (h - s_{l-1}) d s_l of what stands in the sigmoid
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from tiedlm.layers.compiled_steps import LOOPS, MOST_LANES, check_type
from tiedlm.layers.variational import apply_mask
from tiedlm.native.build import call_native


class Kept(NamedTuple):
    """What the backward pass needs of the forward one."""

    states: Tensor
    """s before the window, then after every depth of every step [T L + 1, B, H]."""
    candidates: Tensor
    """[T, L, B, H]"""
    gates: Tensor
    """[T, L, B, H]"""


class Steps(Protocol):
    """A form of the loops over steps and depths."""

    def run(self, projected: Tensor, state: Tensor, hidden: Tensor, bias: Tensor, mask: Tensor | None) -> Kept:
        """Return what is kept, from W x [T, B, 2H], s [B, H], R [L, 2H, H], b [L, 2H] and the mask [B, H]."""
        ...

    def run_back(self, arriving: Tensor, kept: Kept, hidden: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the gradients of what stands in tanh and sigmoid [T, L, B, 2H], and of s before the window.

        Args:
            arriving: gradients of the outputs [T, B, H].
        """
        ...


class CompiledSteps:
    """The loops of `native/loops/rhn.cpp`, on a CPU."""

    def run(self, projected: Tensor, state: Tensor, hidden: Tensor, bias: Tensor, mask: Tensor | None) -> Kept:
        """Return what is kept."""
        check_type(hidden.dtype, instead="rhn_batched")
        kept = room(projected, state, len(hidden))
        read = torch.empty_like(kept.states)
        read[0] = apply_mask(state, mask)
        _call("rhn_forward", kept, hidden, mask, projected.contiguous(), bias.contiguous(), read)
        return kept

    def run_back(self, arriving: Tensor, kept: Kept, hidden: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the gradients of what stands in tanh and sigmoid, and of s before the window."""
        of_both = kept.gates.new_empty(*kept.gates.shape[:3], hidden.shape[1])
        of_state = torch.zeros_like(kept.states[0])
        _call("rhn_backward", kept, hidden, mask, arriving.contiguous(), of_state, of_both)
        return of_both, of_state


def room(projected: Tensor, state: Tensor, depths: int) -> Kept:
    """Return the arrays for what is kept, filled with the state before the window alone."""
    steps = len(projected)
    states = state.new_empty(steps * depths + 1, *state.shape)
    states[0] = state
    candidates, gates = (state.new_empty(steps, depths, *state.shape) for _ in range(2))
    return Kept(states, candidates, gates)


def _call(name: str, kept: Kept, hidden: Tensor, mask: Tensor | None, *further: Tensor) -> None:
    steps, depths, streams, units = kept.gates.shape
    packed = hidden.new_empty(depths, 2, units + MOST_LANES - 1, units)
    mask = None if mask is None else mask.contiguous()
    window = (mask, *kept, hidden.contiguous(), packed, torch.get_num_threads())
    call_native(f"{name}_{LOOPS[hidden.dtype]}", steps, depths, streams, units, *window, *further)


class PlainSteps:
    """Loops in Python with one product and a few passes over its elements a depth, on any device."""

    def run(self, projected: Tensor, state: Tensor, hidden: Tensor, bias: Tensor, mask: Tensor | None) -> Kept:
        """Return what is kept."""
        units, depths = state.shape[1], len(hidden)
        kept = room(projected, state, depths)
        masked, first, maps = torch.empty_like(state), projected + bias[0], [each.T for each in hidden]
        for place in range(len(projected) * depths):
            step, depth = divmod(place, depths)
            before, after = kept.states[place], kept.states[place + 1]
            read = before if mask is None else torch.mul(before, mask, out=masked)
            both = torch.addmm(first[step] if depth == 0 else bias[depth], read, maps[depth])
            candidate = torch.tanh(both[:, :units], out=kept.candidates[step, depth])
            gate = torch.sigmoid(both[:, units:], out=kept.gates[step, depth])
            torch.lerp(before, candidate, gate, out=after)
        return kept

    def run_back(self, arriving: Tensor, kept: Kept, hidden: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the gradients of what stands in tanh and sigmoid, and of s before the window."""
        steps, depths, _, units = kept.gates.shape
        of_both = kept.gates.new_empty(*kept.gates.shape[:3], 2 * units)
        to_candidate, to_gate = _passed_back(kept)
        onward = 1 - kept.gates
        gradient, back = (torch.zeros_like(kept.states[0]) for _ in range(2))
        for place in reversed(range(steps * depths)):
            step, depth = divmod(place, depths)
            if depth == depths - 1:
                gradient += arriving[step]
            both = of_both[step, depth]
            torch.mul(gradient, to_candidate[step, depth], out=both[:, :units])
            torch.mul(gradient, to_gate[step, depth], out=both[:, units:])
            torch.mm(both, hidden[depth], out=back)
            gradient *= onward[step, depth]
            gradient += apply_mask(back, mask)
        return of_both, gradient


def _passed_back(kept: Kept) -> tuple[Tensor, Tensor]:
    """Return d a and d b per d s [T, L, B, H]."""
    before = kept.states[:-1].view(kept.gates.shape)
    to_candidate = kept.gates * (1 - kept.candidates.square())
    return to_candidate, kept.gates * (1 - kept.gates) * (kept.candidates - before)
