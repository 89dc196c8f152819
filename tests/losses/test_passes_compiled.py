"""What is special to the compiled passes: a row's bits do not depend on the rows beside it or the calls before it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from support.compare import assert_close
from tiedlm.losses import passes_compiled
from tiedlm.losses.passes import Passes, PlainPasses, Sink, Student, Teacher
from tiedlm.losses.passes_compiled import CompiledPasses

WORDS = 83
PASSES = CompiledPasses()


def run(
    logits: Tensor, teacher_logits: Tensor, targets: Tensor, of_row: Tensor, passes: Passes = PASSES
) -> list[Tensor]:
    student = Student(logits.clone(), None, targets)
    soft, entropy = passes.soft_targets(teacher_logits, None, 20.0, torch.float32)
    teacher = Teacher(of_row, teacher_logits.clone(), soft, entropy)
    weights = torch.ones(len(logits))
    passes.at_teacher(student, teacher, weights, 20.0, 0.65)
    losses = passes.augmented(student, teacher, 20.0, 0.65, Sink(weights, None))
    return [*losses, student.logits, soft, entropy]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_has_the_same_bits_in_a_chunk_of_any_size(dtype: torch.dtype) -> None:
    """So a training that goes on in another process, whose first chunk is another one, loses nothing."""
    draw = torch.Generator().manual_seed(0)
    logits = (5 * torch.randn(40, WORDS, generator=draw)).to(dtype)
    teacher = (5 * torch.randn(40, WORDS, generator=draw)).to(dtype)
    targets, of_row = torch.arange(40), torch.arange(40)
    whole = run(logits, teacher, targets, of_row)
    for count in (1, 2, 7, 33):
        part = run(logits[:count], teacher[:count], targets[:count], of_row[:count])
        for one, all_rows in zip(part, whole, strict=True):
            assert torch.equal(one, all_rows[:count])


def test_more_forms_than_are_compiled_run_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes_compiled, "MOST_FORMS", 2)
    for temperature in (1.5, 2.5, 3.5, 4.5):
        for dtype in (torch.float32, torch.float64):
            logits = torch.arange(12, dtype=dtype).reshape(3, 4)
            soft, _ = PASSES.soft_targets(logits, None, temperature, dtype)
            torch.testing.assert_close(soft, (logits / temperature).softmax(1))


def test_what_runs_uncompiled_is_worked_out_in_the_wide_type_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes_compiled, "_compiled", lambda function: function)
    draw = torch.Generator().manual_seed(0)
    logits, teacher = ((5 * torch.randn(40, WORDS, generator=draw)).bfloat16() for _ in range(2))
    given = (logits, teacher, torch.arange(40), torch.arange(40))
    for one, other in zip(run(*given), run(*given, PlainPasses()), strict=True):
        assert_close(one, other, 1e-4 if one.dtype == torch.float32 else 2**-8)


def test_one_loop_serves_chunks_of_any_number_of_rows_and_one_number_of_words() -> None:
    torch.compiler.reset()
    graphs = torch._dynamo.utils.counters["stats"]
    before = graphs["unique_graphs"]
    for count, words in enumerate((WORDS, WORDS + 8), start=1):
        for rows in (5, 9, 14, 2):
            PASSES.soft_targets(torch.zeros(rows, words), None, 20.0, torch.float32)
            assert graphs["unique_graphs"] == before + count
