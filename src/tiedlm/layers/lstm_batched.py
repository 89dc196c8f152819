"""The masked LSTM layer with its products batched over the window: signature and values of `layers.lstm.lstm_loop`.

What does not wait for the step before is done once for all steps: W_ih x and the bias before the loop, what the gates'
nonlinearities pass back before the loop of the backward pass, and the gradients of all weights after it, where the
definition adds T outer products into [4H, H]. The loops hold one product and a few passes over its elements a step, in
buffers made beforehand, and autograd keeps no record of them. Kept for the backward pass: gates [T, B, 4H], cells,
their tanh, and masked outputs. With d h_t and d c_t the gradients that arrive at the raw output and at the cell:

    d h_t = m * (d output_t + W_hh' d a_{t+1})                      a: what stands in the nonlinearities, (i, f, g, o)
    d c_t = d c_{t+1} f_{t+1} + d h_t o_t (1 - tanh^2 c_t)
    d a_t = (d c_t g i (1 - i), d c_t c_{t-1} f (1 - f), d c_t i (1 - g^2), d h_t tanh(c_t) o (1 - o))
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError
from tiedlm.layers.lstm import LSTMState, LSTMWeights, check_lstm
from tiedlm.layers.variational import apply_mask

_through_sigmoid = torch.ops.aten.sigmoid_backward.grad_input
_through_tanh = torch.ops.aten.tanh_backward.grad_input
"""g y (1 - y) and g (1 - y^2) in one pass each: what autograd calls, with a place to write to."""


def lstm_batched(
    inputs: Tensor, state: LSTMState, weights: LSTMWeights, mask: Tensor | None
) -> tuple[Tensor, LSTMState]:
    """Run one layer over a window; arguments, results and errors as for `lstm_loop`.

    A gradient of the gradient is an ArgumentError.
    """
    check_lstm(inputs, state, weights, mask)
    outputs, hidden, cell = cast("tuple[Tensor, ...]", _Layer.apply(inputs, *state, *weights, mask))
    return outputs, (hidden, cell)


def _refuse_second_derivative() -> None:
    """Raise where autograd records the backward pass: what it is made of would count as constant."""
    if torch.is_grad_enabled():
        raise ArgumentError(
            "A gradient of the gradient was asked for (create_graph=True), but lstm_batched gives first derivatives "
            "only: use lstm_loop."
        )


class _Kept(NamedTuple):
    """What the backward pass needs of the forward one."""

    gates: Tensor
    """Gates i, f, candidate g and gate o of every step [T, B, 4H]."""
    cells: Tensor
    """c before the window, then after every step [T + 1, B, H]."""
    bounded: Tensor
    """tanh(c) after every step [T, B, H]."""
    read: Tensor
    """Masked h before the window, then after every step [T + 1, B, H]: what W_hh reads, and the outputs."""


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
        projected = torch.addmm(bias, inputs.flatten(0, 1), weight_input.T).view(*inputs.shape[:2], len(bias))
        kept, last = _run(projected, hidden, cell, weight_hidden, mask)
        ctx.save_for_backward(*kept, inputs, weight_input, weight_hidden, mask)
        return kept.read[1:].clone(), last, kept.cells[-1].clone()

    @staticmethod
    def backward(ctx: Any, *arriving: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        _refuse_second_derivative()
        *kept, inputs, weight_input, weight_hidden, mask = ctx.saved_tensors
        of_sums, of_hidden, of_cell = _run_back(arriving, _Kept(*kept), weight_hidden, mask)
        flat, before = of_sums.flatten(0, 1), kept[3][:-1].flatten(0, 1)
        of_inputs = (flat @ weight_input).view(inputs.shape) if ctx.needs_input_grad[0] else None
        of_weights = flat.T @ inputs.flatten(0, 1), flat.T @ before, flat.sum(0)
        return of_inputs, of_hidden, of_cell, *of_weights, None


def _run(projected: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, mask: Tensor | None) -> tuple[_Kept, Tensor]:
    """Return what is kept, gates in the place of W_ih x + b [T, B, 4H], and the raw h after the window."""
    steps, (streams, units) = len(projected), hidden.shape
    cells, read = (hidden.new_empty(steps + 1, streams, units) for _ in range(2))
    bounded, last = hidden.new_empty(steps, streams, units), torch.empty_like(hidden)
    onward = weight.T.contiguous()  # a product with one row a stream is a third slower from the transposed weights
    cells[0], read[0] = cell, apply_mask(hidden, mask)
    places = (projected, projected[..., : 2 * units], *projected.chunk(4, dim=-1), bounded, cells[1:], read[1:])
    masked = read[0]
    for sums, both, enter, forget, candidate, gate, tanh, after, output in _steps(*places):
        sums.addmm_(masked, onward)
        both.sigmoid_()
        candidate.tanh_()
        gate.sigmoid_()
        cell = torch.mul(forget, cell, out=after).addcmul_(enter, candidate)
        torch.mul(gate, torch.tanh(cell, out=tanh), out=last)
        masked = output.copy_(last) if mask is None else torch.mul(last, mask, out=output)
    return _Kept(projected, cells, bounded, read), last


def _run_back(
    arriving: tuple[Tensor, ...], kept: _Kept, weight: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of what stands in the nonlinearities [T, B, 4H], and of h and c before the window."""
    of_outputs, of_hidden, of_cell = arriving
    sums, to_cell = _passed_back(kept)
    by_gate = sums.unflatten(2, (4, -1))
    hidden = of_outputs.clone() if mask is None else of_outputs * mask
    hidden[-1] += of_hidden
    cell, back = of_cell.clone(), torch.zeros_like(of_hidden)
    places = (sums, by_gate[:, :, :3], by_gate[:, :, 3], hidden, to_cell, kept.gates.chunk(4, dim=-1)[1])
    for of_sums, of_three, of_gate, own, to_own, forget in reversed(_steps(*places)):
        own.add_(back) if mask is None else own.addcmul_(back, mask)
        cell.addcmul_(own, to_own)
        of_three.mul_(cell.unsqueeze(1))
        of_gate.mul_(own)
        cell.mul_(forget)
        torch.mm(of_sums, weight, out=back)
    return sums, apply_mask(back, mask), cell


def _passed_back(kept: _Kept) -> tuple[Tensor, Tensor]:
    """Return d a per d c, or per d h for the output gate [T, B, 4H], and d c per d h [T, B, H]."""
    enter, forget, candidate, gate = kept.gates.chunk(4, dim=-1)
    passed = torch.empty_like(kept.gates)
    of_enter, of_forget, of_candidate, of_gate = passed.chunk(4, dim=-1)
    _through_sigmoid(candidate, enter, grad_input=of_enter)
    _through_sigmoid(kept.cells[:-1], forget, grad_input=of_forget)
    _through_tanh(enter, candidate, grad_input=of_candidate)
    _through_sigmoid(kept.bounded, gate, grad_input=of_gate)
    return passed, _through_tanh(gate, kept.bounded, grad_input=torch.empty_like(kept.bounded))


def _steps(*places: Tensor) -> list[tuple[Tensor, ...]]:
    """Return the parts of each step: views made all at once cost a fifth of those that are made one by one."""
    return list(zip(*(place.unbind() for place in places), strict=True))
