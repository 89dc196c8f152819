"""What a loss alone does not show of the backends: results rounded once, the same bits, Triton's code for a GPU."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from support.gpu import BOTH_WAYS, TRITON, check_apart, needs_a_compiler, ptx
from tiedlm.errors import ArgumentError
from tiedlm.losses import triton
from tiedlm.losses.augmented import select_implementation
from tiedlm.losses.compiled import CompiledBackend
from tiedlm.losses.plain import ElementwiseBackend, GradRequest, PlainBackend, Student, Teacher
from tiedlm.losses.triton import TritonBackend

COMPILED = pytest.param(CompiledBackend(), id="compiled", marks=needs_a_compiler)
BOTH = pytest.mark.parametrize("backend", [pytest.param(PlainBackend(), id="plain"), COMPILED])


@BOTH
def test_gradients_of_16_bits_are_those_of_32_rounded_once(backend: ElementwiseBackend) -> None:
    """At a near-certain target y - 1 is far smaller than the last bit of y in bfloat16."""
    gradients = {}
    for dtype in (torch.float32, torch.bfloat16):
        logits = torch.tensor([[8.0, 0.0, 1.0], [0.5, 0.25, -1.0]], dtype=dtype)
        backend.cross_entropy(
            Student(logits, None, torch.tensor([0, 1]), torch.float32), GradRequest(torch.tensor([1, 0.75]), None)
        )
        gradients[dtype] = logits
    assert 0 < -float(gradients[torch.bfloat16][0, 0]) < 2e-3
    assert torch.equal(gradients[torch.bfloat16], gradients[torch.float32].bfloat16())


COLUMNS, ROWS = 83, 40


def run(count: int, dtype: torch.dtype, biased: bool = False) -> list[Tensor]:
    """Return losses, divergences, G and R of the first targets, each with three rows, and the bias's gradient."""
    draw = torch.Generator().manual_seed(0)
    logits, teacher_logits = ((5 * torch.randn(3 * ROWS, COLUMNS, generator=draw)).to(dtype) for _ in range(2))
    bias = torch.randn(COLUMNS, generator=draw) if biased else None
    of_row = torch.arange(count).repeat_interleave(3)
    student = Student(logits[: 3 * count], bias, of_row, torch.float32)
    teacher = Teacher(teacher_logits[:count], of_row)
    weights = torch.linspace(0.5, 1, 3 * ROWS)
    request = GradRequest(weights[: 3 * count], torch.zeros(COLUMNS) if biased else None, through_target=True)
    losses = CompiledBackend().augmented(student, teacher, 20.0, 0.65, request)
    place = [] if request.bias_grad is None else [request.bias_grad]
    return [*losses, student.logits, teacher.logits, *place]


@needs_a_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_has_the_same_bits_in_a_chunk_of_any_size(dtype: torch.dtype) -> None:
    """So a training that goes on in another process, whose first chunk is another one, loses nothing."""
    whole = run(ROWS, dtype)
    for count in (1, 2, 7, 33):
        for one, all_rows in zip(run(count, dtype), whole, strict=True):
            assert torch.equal(one, all_rows[: len(one)])


@needs_a_compiler
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


@needs_a_compiler
def test_rows_that_lie_apart_are_left_as_they_lie() -> None:
    """The buffer of a wider chunk; what is beside the columns must stay."""
    wide = torch.full((6, COLUMNS + 5), 7.0)
    logits = wide[:, :COLUMNS]
    logits.copy_(torch.randn(6, COLUMNS, generator=torch.Generator().manual_seed(1)))
    close = logits.clone()
    words = torch.arange(6)
    for place in (logits, close):
        student, teacher = (
            Student(place[:4], None, words[:4], torch.float32),
            Teacher(place[4:], torch.tensor([0, 0, 1, 1])),
        )
        CompiledBackend().augmented(student, teacher, 20.0, 0.65, GradRequest(torch.ones(4), None, through_target=True))
    assert torch.equal(logits, close)
    assert bool((wide[:, COLUMNS:] == 7).all())


# ---- Triton: where it cannot run, the checks that run it without a GPU, and the code of each kernel


@TRITON
@BOTH_WAYS
def test_the_backend(interpret: str) -> None:
    check_apart(Path(__file__).parent / "apart" / "checks_triton.py", interpret)


def test_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton.runtime", None)
    with pytest.raises(ArgumentError, match=r"cannot run here \(Triton cannot be imported.* use 'chunked'"):
        select_implementation("triton", device="cuda")


@pytest.mark.parametrize("block", [0, -4, 3, 1000])
def test_a_block_is_a_power_of_two(block: int) -> None:
    with pytest.raises(ArgumentError, match=f"block is {block}, but must be a power of two"):
        TritonBackend(block)


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


OTHER = r"\b(add|sub|mul|fma|div)\.(rn\.)?(bf16|f64)"
STORED_GRADIENTS = [triton._cross_entropy_grad_kernel, triton._augmented_grad_kernel, triton._teacher_grad_kernel]
LOSSES = [triton._cross_entropy_kernel, triton._augmented_kernel, triton._soft_targets_kernel]


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("kernel", STORED_GRADIENTS)
def test_gradients_are_rounded_once_to_nearest_from_single_precision(kernel: Any) -> None:
    code = ptx(kernel)
    assert "cvt.rn.bf16" in code
    assert re.search(OTHER, code) is None


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("kernel", LOSSES)
def test_losses_stay_in_single_precision(kernel: Any) -> None:
    code = ptx(kernel)
    assert "cvt.rn.bf16" not in code
    assert re.search(OTHER, code) is None


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("kernel", [triton._add_bias_grad_kernel, triton._teacher_means_kernel])
def test_sums_are_made_without_atomic_additions(kernel: Any) -> None:
    assert re.search(r"\b(atom|red)\.", ptx(kernel)) is None


@pytest.mark.usefixtures("own_cache")
def test_options_keep_double_precision() -> None:
    assert ptx(triton._augmented_grad_kernel, "fp64", "fp64").count(".param .f64") == 2
