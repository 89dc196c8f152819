"""One more column a stream: what is appended to inputs and weights, and what their product then holds."""

from __future__ import annotations

import torch

from tiedlm.layers.stream_columns import with_columns, with_streams


def test_every_step_has_the_one_hot_of_its_stream() -> None:
    inputs = torch.randn(4, 3, 5)
    longer = with_streams(inputs)
    assert longer.shape == (4, 3, 8)
    assert torch.equal(longer[..., :5], inputs)
    assert all(torch.equal(step, torch.eye(3)) for step in longer[..., 5:])


def test_the_gate_of_what_a_stream_drops_is_moved_and_no_other() -> None:
    inputs, weight = torch.randn(4, 3, 5, dtype=torch.float64), torch.randn(8, 5, dtype=torch.float64)
    kept = torch.tensor([[True, False], [True, True], [False, False]])
    moved = with_streams(inputs) @ with_columns(weight, kept, 2, -1000.0).T - inputs @ weight.T
    due = torch.zeros(4, 3, 8, dtype=torch.float64)
    due[..., 4:6] = torch.where(kept, 0.0, -1000.0)
    assert torch.allclose(moved, due)
