"""The recurrent highway layer under a variational mask: the definition, and forms with batched products.

With m the mask on the state [B, H], held for the whole window and for every depth, and s_0 of a step = s_L of the step
before (Zilly et al. 2017, Recurrent Highway Networks, equations 6 to 9):

    h_l = tanh(W_H x_t [l = 1] + R_Hl (m * s_{l-1}) + b_Hl)             eq. 7
    t_l = sigmoid(W_T x_t [l = 1] + R_Tl (m * s_{l-1}) + b_Tl)          eq. 8
    c_l = 1 - t_l                                                       eq. 9, the gates coupled as in their results
    s_l = h_l * t_l + s_{l-1} * c_l                                     eq. 6
    output_t = s_L                          raw; a mask on the output is the model's, not the layer's

Candidate and gate see the same mask, and what is carried past them is raw: in the authors' TensorFlow code so
(github.com/julian121266/RecurrentHighwayNetworks, rhn.py), and a carry that were masked again and again at every depth
would vanish, or grow by 1/keep each time. All forms have the signature of `rhn_loop`, the definition, which alone has
derivatives of every order and kind; the others have first derivatives.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast, final

import torch
from torch import Tensor, nn

from tiedlm.errors import refuse_double_backward, refuse_transforms
from tiedlm.native.build import call_native
from tiedlm.nn.cells import MAX_LANES, NATIVE_TYPES, check_cell, check_native, matmul_dtype_of, select_form
from tiedlm.nn.dropout import apply_mask


class RHNWeights(NamedTuple):
    """Parameters of one layer; I is the width of its input, L its depth. Rows: H of candidates, then H of gates."""

    input: Tensor
    """W_H over W_T [2H, I]."""
    hidden: Tensor
    """R_Hl over R_Tl [L, 2H, H]."""
    bias: Tensor
    """b_Hl over b_Tl [L, 2H]."""


@final
class RHNLayer(nn.Module):
    """Parameters of one recurrent highway layer, run in the form that `select_form` names."""

    def __init__(self, units: int, depth: int) -> None:
        super().__init__()
        self.weight_input = nn.Parameter(torch.empty(2 * units, units))
        self.weight_hidden = nn.Parameter(torch.empty(depth, 2 * units, units))
        self.bias = nn.Parameter(torch.empty(depth, 2 * units))

    def forward(
        self, inputs: Tensor, state: tuple[Tensor], masks: tuple[Tensor | None, Tensor | None]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return outputs [T, B, H], raw, and the state after them; masks on the input and on the state."""
        input_mask, state_mask = masks
        weights = RHNWeights(self.weight_input, self.weight_hidden, self.bias)
        outputs, last = rhn(apply_mask(inputs, input_mask), state[0], weights, state_mask)
        return outputs, (last,)


def rhn(inputs: Tensor, state: Tensor, weights: RHNWeights, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Run one layer over a window in the form that `select_form` names; otherwise as `rhn_loop`."""
    form, _ = select_form("rhn", inputs.device.type, masked=mask is not None, units=weights.hidden.shape[-1])
    return (rhn_compiled if form == "compiled" else rhn_batched)(inputs, state, weights, mask)


def rhn_loop(inputs: Tensor, state: Tensor, weights: RHNWeights, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Run one layer over a window.

    Inputs x [T, B, I], already masked; state s before the window [B, H]; mask 0 or 1/keep [B, H], or None; the depth of
    the weights is the recurrence depth L. Returns the raw outputs [T, B, H] and s after the window. Shapes, types or
    devices that do not go together are an ArgumentError.
    """
    _check(inputs, state, weights, mask)
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


def _check(inputs: Tensor, state: Tensor, weights: RHNWeights, mask: Tensor | None) -> None:
    depth, units = max(len(weights.hidden), 1), weights.hidden.shape[-1]
    rows = 2 * units
    shapes = {"input": (rows, weights.input.shape[-1]), "hidden": (depth, rows, units), "bias": (depth, rows)}
    check_cell(inputs, {"s": state}, mask, weights._asdict(), shapes)


def rhn_batched(inputs: Tensor, state: Tensor, weights: RHNWeights, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Run one layer over a window with its products batched over the window; otherwise as `rhn_loop`.

    W x is computed before the steps, and the gradients of all weights after those of the backward pass, where the
    definition adds T x L small outer products into [2H, H] arrays. Under autocast the batched products take its type.
    """
    _check(inputs, state, weights, mask)
    return _batched(inputs, state, weights, mask, native=False)


def rhn_compiled(inputs: Tensor, state: Tensor, weights: RHNWeights, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Run one layer over a window on a CPU with its steps in C++; otherwise as `rhn_batched`.

    Weights other than float32 and float64 are an ArgumentError.
    """
    _check(inputs, state, weights, mask)
    check_native(weights.hidden, instead="rhn_batched")
    return _batched(inputs, state, weights, mask, native=True)


def _batched(
    inputs: Tensor, state: Tensor, weights: RHNWeights, mask: Tensor | None, *, native: bool
) -> tuple[Tensor, Tensor]:
    refuse_transforms("this form of the layer gives", "rhn_loop", inputs, state, *weights, mask)
    dtype = matmul_dtype_of(weights.hidden)
    with torch.autocast(inputs.device.type, enabled=False):
        projected = (inputs.to(dtype) @ weights.input.to(dtype).T).to(weights.hidden.dtype)
        recurrent = (state, weights.hidden, weights.bias, mask)
        outputs = cast(Tensor, _Recurrence.apply(projected, *recurrent, native, dtype))
    return outputs, outputs[-1]


class _Recurrence(torch.autograd.Function):
    """From W x of all steps to the outputs of all steps, with its own backward pass.

    States, candidates and gates of every depth of every step are saved. With d s_l the gradient of s_l:

        d s_{l-1} = (1 - t) d s_l + m * (R_H' d a + R_T' d b)
        d a = t (1 - h^2) d s_l             of what the tanh reads
        d b = t (1 - t) (h - s_{l-1}) d s_l of what the sigmoid reads
    """

    @staticmethod
    def forward(
        ctx: Any,
        projected: Tensor,
        state: Tensor,
        hidden: Tensor,
        bias: Tensor,
        mask: Tensor | None,
        native: bool,
        dtype: torch.dtype,
    ) -> Tensor:
        steps, depths = len(projected), len(hidden)
        states = state.new_empty(steps * depths + 1, *state.shape)
        states[0] = state
        saved = _Saved(states, *(state.new_empty(steps, depths, *state.shape) for _ in range(2)))
        (_native_forward if native else _forward)(saved, projected, hidden, bias, mask)
        ctx.save_for_backward(*saved, hidden, mask)
        ctx.native, ctx.dtype = native, dtype
        return states[depths::depths].clone()

    @staticmethod
    def backward(ctx: Any, outputs_grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        refuse_double_backward("this form of the layer gives", "rhn_loop")
        *saved, hidden, mask = ctx.saved_tensors
        saved = _Saved(*saved)
        both_grad, state_grad = (_native_backward if ctx.native else _backward)(saved, outputs_grad, hidden, mask)
        read = apply_mask(saved.states[:-1].view(saved.gates.shape), mask).to(ctx.dtype)
        rounded = both_grad.to(ctx.dtype)
        hidden_grad = [rounded[:, n].flatten(0, 1).T @ read[:, n].flatten(0, 1) for n in range(len(hidden))]
        bias_grad = both_grad.sum((0, 2))
        return both_grad[:, 0], state_grad, torch.stack(hidden_grad).to(hidden.dtype), bias_grad, None, None, None


class _Saved(NamedTuple):
    """What the backward pass needs of the forward one."""

    states: Tensor
    """s before the window, then after every depth of every step [T L + 1, B, H]."""
    candidates: Tensor
    """[T, L, B, H]"""
    gates: Tensor
    """[T, L, B, H]"""


def _forward(saved: _Saved, projected: Tensor, hidden: Tensor, bias: Tensor, mask: Tensor | None) -> None:
    """Fill `saved` from W x [T, B, 2H]: one product and a few passes over its elements a depth, on any device."""
    units, depths = saved.gates.shape[-1], len(hidden)
    masked = torch.empty_like(saved.states[0])
    first, maps = projected + bias[0], [weight.T for weight in hidden]
    for place in range(len(saved.states) - 1):
        step, depth = divmod(place, depths)
        before, after = saved.states[place], saved.states[place + 1]
        read = before if mask is None else torch.mul(before, mask, out=masked)
        both = torch.addmm(first[step] if depth == 0 else bias[depth], read, maps[depth])
        candidate = torch.tanh(both[:, :units], out=saved.candidates[step, depth])
        gate = torch.sigmoid(both[:, units:], out=saved.gates[step, depth])
        torch.lerp(before, candidate, gate, out=after)


def _backward(saved: _Saved, outputs_grad: Tensor, hidden: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the gradients of what tanh and sigmoid read [T, L, B, 2H], and of s before the window [B, H]."""
    steps, depths, _, units = saved.gates.shape
    both_grad = saved.gates.new_empty(*saved.gates.shape[:3], 2 * units)
    before = saved.states[:-1].view(saved.gates.shape)
    per_candidate = saved.gates * (1 - saved.candidates.square())
    per_gate = saved.gates * (1 - saved.gates) * (saved.candidates - before)
    carry = 1 - saved.gates
    state_grad, back = (torch.zeros_like(saved.states[0]) for _ in range(2))
    for place in reversed(range(steps * depths)):
        step, depth = divmod(place, depths)
        if depth == depths - 1:
            state_grad += outputs_grad[step]
        both = both_grad[step, depth]
        torch.mul(state_grad, per_candidate[step, depth], out=both[:, :units])
        torch.mul(state_grad, per_gate[step, depth], out=both[:, units:])
        torch.mm(both, hidden[depth], out=back)
        state_grad *= carry[step, depth]
        state_grad += apply_mask(back, mask)
    return both_grad, state_grad


def _native_forward(saved: _Saved, projected: Tensor, hidden: Tensor, bias: Tensor, mask: Tensor | None) -> None:
    """Do what `_forward` does by `native/loops/rhn.cpp`."""
    read = torch.empty_like(saved.states)  # masked states
    read[0] = apply_mask(saved.states[0], mask)
    _call_steps("rhn_forward", saved, hidden, mask, projected.contiguous(), bias.contiguous(), read)


def _native_backward(saved: _Saved, outputs_grad: Tensor, hidden: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Do what `_backward` does by `native/loops/rhn.cpp`."""
    both_grad = saved.gates.new_empty(*saved.gates.shape[:3], hidden.shape[1])
    state_grad = torch.zeros_like(saved.states[0])
    _call_steps("rhn_backward", saved, hidden, mask, outputs_grad.contiguous(), state_grad, both_grad)
    return both_grad, state_grad


def _call_steps(name: str, saved: _Saved, hidden: Tensor, mask: Tensor | None, *others: Tensor) -> None:
    """Call one of the two loops of `rhn.cpp`, with an array for packed weights; the bare arrays are contiguous."""
    steps, depths, streams, units = saved.gates.shape
    packed = hidden.new_empty(depths, 2, units + MAX_LANES - 1, units)
    mask = None if mask is None else mask.contiguous()
    window = (mask, *saved, hidden.contiguous(), packed, torch.get_num_threads())
    call_native(f"{name}_{NATIVE_TYPES[hidden.dtype]}", steps, depths, streams, units, *window, *others)
