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
from torch.autograd.function import once_differentiable

from tiedlm.layers.lstm import LSTMState, LSTMWeights, check_lstm
from tiedlm.layers.variational import apply_mask


def lstm_batched(
    inputs: Tensor, state: LSTMState, weights: LSTMWeights, mask: Tensor | None
) -> tuple[Tensor, LSTMState]:
    """Run one layer over a window; arguments, results and errors as for `lstm_loop`. It has no second derivative."""
    check_lstm(inputs, state, weights, mask)
    outputs, hidden, cell = cast("tuple[Tensor, ...]", _Layer.apply(inputs, *state, *weights, mask))
    return outputs, (hidden, cell)


class _Kept(NamedTuple):
    """What the backward pass needs of the forward one."""

    gates: Tensor
    """i, f, g, o of every step [T, B, 4H]."""
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
    @once_differentiable
    def backward(ctx: Any, *arriving: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        *kept, inputs, weight_input, weight_hidden, mask = ctx.saved_tensors
        of_sums, of_hidden, of_cell = _run_back(arriving, _Kept(*kept), weight_hidden, mask)
        flat, before = of_sums.flatten(0, 1), kept[3][:-1].flatten(0, 1)
        of_inputs = (flat @ weight_input).view(inputs.shape) if ctx.needs_input_grad[0] else None
        of_weights = flat.T @ inputs.flatten(0, 1), flat.T @ before, flat.sum(0)
        return of_inputs, of_hidden, of_cell, *of_weights, None


def _run(
    projected: Tensor, hidden: Tensor, cell: Tensor, weight: Tensor, mask: Tensor | None
) -> tuple[_Kept, Tensor]:
    """Return what is kept, gates in the place of W_ih x + b [T, B, 4H], and the raw h after the window."""
    steps, (streams, units) = len(projected), hidden.shape
    cells, read = (hidden.new_empty(steps + 1, streams, units) for _ in range(2))
    bounded, last, back = hidden.new_empty(steps, streams, units), torch.empty_like(hidden), weight.T.contiguous()
    cells[0], read[0] = cell, apply_mask(hidden, mask)
    inner, candidates, outer = projected[..., : 2 * units], projected[..., 2 * units : 3 * units], projected[..., 3 * units :]
    for step in range(steps):
        projected[step].addmm_(read[step], back)
        both, candidate, gate = inner[step].sigmoid_(), candidates[step].tanh_(), outer[step].sigmoid_()
        torch.mul(both[:, units:], cells[step], out=cells[step + 1]).addcmul_(both[:, :units], candidate)
        torch.tanh(cells[step + 1], out=bounded[step])
        torch.mul(gate, bounded[step], out=last)
        torch.mul(last, mask, out=read[step + 1]) if mask is not None else read[step + 1].copy_(last)
    return _Kept(projected, cells, bounded, read), last


def _run_back(
    arriving: tuple[Tensor, ...], kept: _Kept, weight: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of what stands in the nonlinearities [T, B, 4H], and of h and c before the window."""
    of_outputs, of_hidden, cell = arriving
    gradients, to_cell = _passed_back(kept)
    forget = kept.gates.chunk(4, dim=-1)[1]
    steps, streams, units = to_cell.shape
    of_sums = gradients.view(steps, streams, 4, units)
    hidden = apply_mask(of_outputs, mask).clone() if mask is None else of_outputs * mask
    hidden[-1] += of_hidden
    cell, back = cell.clone(), torch.empty_like(cell)
    for step in reversed(range(steps)):
        own = hidden[step]
        if step < steps - 1:
            own.add_(back) if mask is None else own.addcmul_(back, mask)
        cell.addcmul_(own, to_cell[step])
        of_sums[step, :, :3].mul_(cell.unsqueeze(1))
        of_sums[step, :, 3].mul_(own)
        cell.mul_(forget[step])
        torch.mm(gradients[step], weight, out=back)
    return gradients, apply_mask(back, mask), cell


def _passed_back(kept: _Kept) -> tuple[Tensor, Tensor]:
    """Return d a per d c, or per d h for the output gate [T, B, 4H], and d c per d h [T, B, H]."""
    gates, bounded, before = kept.gates, kept.bounded, kept.cells[:-1]
    enter, forget, candidate, gate = gates.chunk(4, dim=-1)
    passed = torch.empty_like(gates)
    of_enter, of_forget, of_candidate, of_gate = passed.chunk(4, dim=-1)
    torch.mul(candidate, enter - enter.square(), out=of_enter)
    torch.mul(before, forget - forget.square(), out=of_forget)
    torch.mul(enter, 1 - candidate.square(), out=of_candidate)
    torch.mul(bounded, gate - gate.square(), out=of_gate)
    return passed, gate * (1 - bounded.square())
