"""What is special to the compiled passes: a row's bits depend on neither the rows beside it nor the threads."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from support.native_code import needs_a_compiler
from tiedlm.losses import passes_compiled
from tiedlm.losses.passes import Passes, PlainPasses, Sink, Student, Teacher
from tiedlm.losses.passes_compiled import CompiledPasses

pytestmark = needs_a_compiler
WORDS, ROWS = 83, 40
PASSES = CompiledPasses()


def run(
    count: int,
    dtype: torch.dtype,
    passes: Passes = PASSES,
    biased: bool = False,
    wide: torch.dtype = torch.float32,
) -> list[Tensor]:
    """Return losses, divergences, G and R of the first targets, each with three rows, and the bias's gradient."""
    draw = torch.Generator().manual_seed(0)
    logits, teacher_logits = ((5 * torch.randn(3 * ROWS, WORDS, generator=draw)).to(dtype) for _ in range(2))
    bias = torch.randn(WORDS, generator=draw) if biased else None
    of_row = torch.arange(count).repeat_interleave(3)
    student = Student(logits[: 3 * count], bias, of_row)
    teacher = Teacher(of_row, teacher_logits[:count])
    weights = torch.linspace(0.5, 1, 3 * ROWS, dtype=wide)
    sink = Sink(weights[: 3 * count], torch.zeros(WORDS) if biased else None, through=True)
    losses = passes.augmented(student, teacher, 20.0, 0.65, wide, sink)
    place = [] if sink.at_bias is None else [sink.at_bias]
    return [*losses, student.logits, teacher.logits, *place]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_has_the_same_bits_in_a_chunk_of_any_size(dtype: torch.dtype) -> None:
    """So a training that goes on in another process, whose first chunk is another one, loses nothing."""
    whole = run(ROWS, dtype)
    for count in (1, 2, 7, 33):
        for one, all_rows in zip(run(count, dtype), whole, strict=True):
            assert torch.equal(one, all_rows[: len(one)])


@pytest.mark.parametrize("threads", [2, 3, 64])
def test_a_row_has_the_same_bits_on_any_number_of_threads(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = run(7, torch.float32, biased=True)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    shared, again = (run(7, torch.float32, biased=True) for _ in range(2))
    for one, other, repeated in zip(alone[:-1], shared[:-1], again[:-1], strict=True):
        assert torch.equal(one, other)
        assert torch.equal(other, repeated)
    assert torch.equal(shared[-1], again[-1])
    torch.testing.assert_close(shared[-1], alone[-1])


@pytest.mark.parametrize("logits", [torch.float32, torch.bfloat16])
def test_losses_wider_than_a_loop_writes_are_left_to_the_plain_passes(logits: torch.dtype) -> None:
    wide = torch.float64
    for one, other in zip(run(5, logits, wide=wide), run(5, logits, PlainPasses(), wide=wide), strict=True):
        assert torch.equal(one, other)
    student = Student(torch.randn(4, WORDS).to(logits), None, torch.arange(4))
    assert torch.equal(*(each.cross_entropy(student, wide, None) for each in (PASSES, PlainPasses())))


def test_float16_has_no_loops_and_goes_through_the_plain_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a loop was called")

    monkeypatch.setattr(passes_compiled, "call_native", refuse)
    for one, other in zip(run(5, torch.float16), run(5, torch.float16, PlainPasses()), strict=True):
        assert torch.equal(one, other)
    with pytest.raises(AssertionError):
        run(5, torch.float32)


def test_rows_that_lie_apart_are_left_as_they_lie() -> None:
    """The buffer of a wider chunk; what is beside the columns must stay."""
    wide = torch.full((6, WORDS + 5), 7.0)
    logits = wide[:, :WORDS]
    logits.copy_(torch.randn(6, WORDS, generator=torch.Generator().manual_seed(1)))
    close = logits.clone()
    words = torch.arange(6)
    for place in (logits, close):
        student, teacher = Student(place[:4], None, words[:4]), Teacher(torch.tensor([0, 0, 1, 1]), place[4:])
        PASSES.augmented(student, teacher, 20.0, 0.65, torch.float32, Sink(torch.ones(4), None, through=True))
    assert torch.equal(logits, close)
    assert bool((wide[:, WORDS:] == 7).all())
