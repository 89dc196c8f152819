"""The two forms of the steps against each other, and against one step by hand."""

from __future__ import annotations

import pytest
import torch

from support.compare import assert_close
from support.native_code import needs_a_compiler
from support.threads import torch_threads
from tiedlm.errors import ArgumentError
from tiedlm.layers.rhn_steps import CompiledSteps, Kept, PlainSteps, Steps

COMPILED = pytest.param(CompiledSteps(), id="compiled", marks=needs_a_compiler)
each_form = pytest.mark.parametrize("steps", [pytest.param(PlainSteps(), id="plain"), COMPILED])


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


MASK = torch.tensor([[2.0, 0.0, 2.0], [0.0, 2.0, 2.0]], dtype=torch.float64)


def ran(steps: Steps) -> Kept:
    return steps.run(drawn(4, 2, 6), drawn(2, 3), drawn(2, 6, 3), drawn(2, 6), MASK)


@each_form
def test_one_step_of_two_depths_by_hand(steps: Steps) -> None:
    projected, state, hidden, bias = drawn(1, 2, 6), drawn(2, 3), drawn(2, 6, 3), drawn(2, 6)
    kept = steps.run(projected, state, hidden, bias, MASK)
    for depth in range(2):
        assert_close(kept.states[depth], state, 1e-14)
        both = (state * MASK) @ hidden[depth].T + bias[depth] + (projected[0] if depth == 0 else 0)
        candidate, gate = both[:, :3].tanh(), both[:, 3:].sigmoid()
        assert_close(kept.candidates[0, depth], candidate, 1e-14)
        assert_close(kept.gates[0, depth], gate, 1e-14)
        state = candidate * gate + state * (1 - gate)
    assert_close(kept.states[2], state, 1e-14)


@each_form
def test_gradients_that_lie_apart_in_memory_are_read_as_they_are(steps: Steps) -> None:
    kept, arriving = ran(steps), drawn(2, 4, 3).transpose(0, 1)
    found = steps.run_back(arriving, kept, drawn(2, 6, 3), MASK)
    again = steps.run_back(arriving.contiguous(), kept, drawn(2, 6, 3), MASK)
    assert all(torch.equal(one, other) for one, other in zip(found, again, strict=True))


@needs_a_compiler
def test_threads_share_the_work_and_change_no_bit() -> None:
    arguments = (drawn(3, 7, 140), drawn(7, 70), 0.1 * drawn(3, 140, 70), drawn(3, 140), None)
    results = []
    for threads in (1, 2, 5):
        with torch_threads(threads):
            kept = CompiledSteps().run(*arguments)
            results.append([*kept, *CompiledSteps().run_back(drawn(3, 7, 70), kept, arguments[2], None)])
    for other in results[1:]:
        assert all(torch.equal(one, another) for one, another in zip(results[0], other, strict=True))


def test_compiled_steps_refuse_other_types() -> None:
    arguments = (torch.zeros(1, 2, 6), torch.zeros(2, 3), torch.zeros(2, 6, 3).half(), torch.zeros(2, 6))
    with pytest.raises(ArgumentError, match=r"torch\.float16, but compiled steps take .* or use rhn_batched"):
        CompiledSteps().run(*arguments, None)
