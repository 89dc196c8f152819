"""The compiled steps by themselves: one step by hand, and what is kept."""

from __future__ import annotations

import torch

from support.compare import assert_close
from support.native_code import needs_a_compiler
from tiedlm.layers.lstm_steps import run_back, run_forward

pytestmark = needs_a_compiler


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


def test_one_step_by_hand() -> None:
    projected, hidden, cell, weight = drawn(1, 2, 12), drawn(2, 3), drawn(2, 3).neg(), drawn(12, 3)
    mask = torch.tensor([[2.0, 0.0, 2.0], [0.0, 2.0, 2.0]], dtype=torch.float64)
    kept, last = run_forward(projected.clone(), (hidden, cell), weight, mask)
    enter, forget, candidate, gate = (projected[0] + (hidden * mask) @ weight.T).chunk(4, 1)
    after = cell * forget.sigmoid() + enter.sigmoid() * candidate.tanh()
    assert_close(kept.cells, torch.stack([cell, after]), 1e-14)
    assert_close(kept.bounded[0], after.tanh(), 1e-14)
    assert_close(last, gate.sigmoid() * after.tanh(), 1e-14)
    assert_close(kept.read, torch.stack([hidden * mask, last * mask]), 1e-14)
    gates = [enter.sigmoid(), forget.sigmoid(), candidate.tanh(), gate.sigmoid()]
    assert_close(kept.gates[0], torch.cat(gates, 1), 1e-14)


def test_gradients_that_lie_apart_in_memory_are_read_as_they_are() -> None:
    kept, _ = run_forward(drawn(4, 2, 12), (drawn(2, 3), drawn(2, 3)), drawn(12, 3), None)
    arriving = (drawn(2, 4, 3).transpose(0, 1), drawn(3, 2).T, drawn(3, 2).T)
    found = run_back(arriving, kept, drawn(12, 3), None)
    again = run_back(tuple(one.contiguous() for one in arriving), kept, drawn(12, 3), None)
    assert all(torch.equal(one, other) for one, other in zip(found, again, strict=True))
