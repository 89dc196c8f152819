"""The layer around its steps: whichever steps it is given are those that run, and it is the loop around them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from support import lstm_truth
from support.lstm_cases import case
from tiedlm.errors import ArgumentError
from tiedlm.layers.lstm import LSTMState, LSTMWeights, lstm_loop
from tiedlm.layers.lstm_batched import Kept, Steps, run_layer


def forward(projected: Tensor, state: LSTMState, weight: Tensor, mask: Tensor | None) -> tuple[Kept, Tensor]:
    """The steps as PyTorch's operations, from the equations."""
    (hidden, cell), keep = state, 1.0 if mask is None else mask
    gates, cells, read = [], [cell], [keep * hidden]
    for step in projected:
        i, f, g, o = (step + read[-1] @ weight.T).chunk(4, 1)
        gates.append(torch.cat([i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()], 1))
        i, f, g, o = gates[-1].chunk(4, 1)
        cells.append(f * cells[-1] + i * g)
        hidden = o * cells[-1].tanh()
        read.append(keep * hidden)
    cells = torch.stack(cells)
    return Kept(torch.stack(gates), cells, cells[1:].tanh(), torch.stack(read)), hidden


def back(
    arriving: tuple[Tensor, ...], kept: Kept, weight: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    of_outputs, of_hidden, of_cell = arriving
    keep, sums = 1.0 if mask is None else mask, []
    for t in reversed(range(len(of_outputs))):
        i, f, g, o = kept.gates[t].chunk(4, 1)
        of_hidden = of_hidden + keep * of_outputs[t]
        of_cell = of_cell + of_hidden * o * (1 - kept.bounded[t] ** 2)
        parts = [of_cell * g * i * (1 - i), of_cell * kept.cells[t] * f * (1 - f), of_cell * i * (1 - g**2)]
        sums.append(torch.cat([*parts, of_hidden * kept.bounded[t] * o * (1 - o)], 1))
        of_hidden, of_cell = keep * (sums[-1] @ weight), of_cell * f
    return torch.stack(sums[::-1]), of_hidden, of_cell


STEPS = Steps(forward, back, "these steps")


def layer(inputs: Tensor, state: LSTMState, weights: LSTMWeights, mask: Tensor | None) -> tuple[Tensor, LSTMState]:
    return run_layer(STEPS, inputs, state, weights, mask)


@pytest.mark.parametrize("keep", [None, 0.5, 1.0])
def test_is_the_loop(keep: float | None) -> None:
    one = case(3, keep=keep)
    lstm_truth.check(one.everything(layer), one.everything(lstm_loop), 1e-12)


@pytest.mark.parametrize("spoil", [lambda sums: 0 * sums, lambda sums: -sums, lambda sums: sums.flip(-1)])
def test_other_steps_are_seen(spoil: Any) -> None:
    wrong = Steps(forward, lambda *given: (spoil(back(*given)[0]), *back(*given)[1:]), "wrong")
    one = case(3)
    with pytest.raises(AssertionError):
        lstm_truth.check(one.everything(lambda *given: run_layer(wrong, *given)), one.everything(lstm_loop), 1e-3)


def test_a_second_derivative_is_refused_in_the_name_of_the_steps() -> None:
    one = case(7)
    outputs, _ = one.run(layer)
    with pytest.raises(ArgumentError, match=r"these steps gives .*use lstm_loop"):
        torch.autograd.grad(outputs.sum(), [one.bias], create_graph=True)
