"""What backends do between the products: the definition's values and gradients, plain and compiled, rounded once."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from support.compare import assert_close
from support.native_code import needs_a_compiler
from tiedlm.losses.compiled import CompiledBackend
from tiedlm.losses.plain import ElementwiseBackend, GradRequest, PlainBackend, Student, Teacher

TEMPERATURE, GAMMA = 3.0, 0.7
WORDS = torch.tensor([1, 1, 4, 6, 6, 6])
OF_ROW = torch.tensor([0, 0, 1, 2, 2, 2])
WEIGHTS = torch.linspace(0.5, 2.0, 6, dtype=torch.float64)
COMPILED = pytest.param(CompiledBackend(), id="compiled", marks=needs_a_compiler)
BOTH = pytest.mark.parametrize("backend", [pytest.param(PlainBackend(), id="plain"), COMPILED])
BIASES = pytest.mark.parametrize("biased", [False, True])


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def student(biased: bool = False) -> Student:
    return Student(3 * drawn(1, 6, 9), drawn(2, 9) if biased else None, WORDS)


def teacher(mask: Tensor | None = None) -> Teacher:
    return Teacher(4 * drawn(0, 3, 9), OF_ROW, mask)


def request(one: Student, through: bool = False) -> GradRequest:
    return GradRequest(WEIGHTS, None if one.bias is None else torch.zeros_like(one.bias), through)


def divergences(logits: Tensor, teacher_logits: Tensor, mask: Tensor | None = None) -> Tensor:
    named = slice(None) if mask is None else mask
    target = (teacher_logits[:, named][OF_ROW] / TEMPERATURE).softmax(1)
    return F.kl_div((logits / TEMPERATURE).log_softmax(1)[:, named], target, reduction="none").sum(1)


@BOTH
@BIASES
def test_cross_entropy_and_its_gradient(backend: ElementwiseBackend, biased: bool) -> None:
    one, place = student(biased), request(student(biased))
    alone = backend.cross_entropy(one, torch.float64, None)
    logits = one.logits.clone().requires_grad_()
    bias = (torch.zeros(9, dtype=torch.float64) if one.bias is None else one.bias).clone().requires_grad_()
    losses = backend.cross_entropy(one, torch.float64, place)
    truth = F.cross_entropy(logits + bias, WORDS, reduction="none")
    (WEIGHTS * truth).sum().backward()
    assert torch.equal(alone, losses)
    assert_close(losses, truth.detach(), 1e-14)
    assert_close(one.logits, logits.grad, 1e-14)
    if place.bias_grad is not None:
        assert_close(place.bias_grad, bias.grad, 1e-14)


@BOTH
@BIASES
@pytest.mark.parametrize("mask", [None, torch.tensor([True, True, False] * 3)], ids=["all", "masked"])
def test_augmented_loss_and_its_gradients(backend: ElementwiseBackend, biased: bool, mask: Tensor | None) -> None:
    one, other = student(biased), teacher(mask)
    logits, teacher_logits = one.logits.clone().requires_grad_(), other.logits.clone().requires_grad_()
    bias = (torch.zeros(9, dtype=torch.float64) if one.bias is None else one.bias).clone().requires_grad_()
    hard = F.cross_entropy(logits + bias, WORDS, reduction="none")
    soft = divergences(logits, teacher_logits, mask)
    (WEIGHTS * (hard + GAMMA * TEMPERATURE * soft)).sum().backward()
    alone = backend.augmented(one, other, TEMPERATURE, GAMMA, torch.float64, None)
    place = request(one, through=True)
    losses, divergence = backend.augmented(one, other, TEMPERATURE, GAMMA, torch.float64, place)
    assert torch.equal(torch.stack(alone), torch.stack([losses, divergence]))
    assert_close(losses, hard.detach(), 1e-14)
    assert_close(divergence, soft.detach(), 1e-13)
    assert_close(one.logits, logits.grad, 1e-13)
    assert_close(other.logits, teacher_logits.grad, 1e-13)
    if place.bias_grad is not None:
        assert_close(place.bias_grad, bias.grad, 1e-13)


@BOTH
def test_the_teachers_logits_stay_unless_the_gradient_through_them_is_wanted(backend: ElementwiseBackend) -> None:
    one, other = student(), teacher()
    before = other.logits.clone()
    backend.augmented(one, other, TEMPERATURE, GAMMA, torch.float64, request(one))
    assert torch.equal(other.logits, before)


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_many_words_in_the_types_that_are_trained_in(backend: ElementwiseBackend, dtype: torch.dtype) -> None:
    """Against the same in float64 of the same logits: slack for losses in float32, G and R rounded to the type."""
    logits = {"student": (3 * drawn(5, 6, 1003)).to(dtype), "teacher": (3 * drawn(6, 3, 1003)).to(dtype)}
    found = _augmented(backend, **logits, wide=torch.float32)
    truth = _augmented(PlainBackend(), **{name: one.double() for name, one in logits.items()}, wide=torch.float64)
    slack = 1e-5 if dtype == torch.float32 else 2**-8
    for one, other, most in zip(found, truth, (1e-6, 1e-4, slack, slack), strict=True):
        assert_close(one.double(), other, most)


def _augmented(backend: ElementwiseBackend, student: Tensor, teacher: Tensor, wide: torch.dtype) -> list[Tensor]:
    """Return losses, divergences, G and R."""
    one, other = Student(student.clone(), None, WORDS), Teacher(teacher.clone(), OF_ROW)
    losses = backend.augmented(one, other, 20.0, GAMMA, wide, GradRequest(WEIGHTS.to(wide), None, through_target=True))
    return [*losses, one.logits, other.logits]


@BOTH
def test_no_divergence_from_itself(backend: ElementwiseBackend) -> None:
    other = teacher()
    one, plain = (Student(other.logits[OF_ROW].contiguous(), None, WORDS) for _ in range(2))
    _, divergence = backend.augmented(one, other, TEMPERATURE, GAMMA, torch.float64, request(one))
    assert float(divergence.abs().max()) < 1e-14
    backend.cross_entropy(plain, torch.float64, request(plain))
    assert_close(one.logits, plain.logits, 1e-13)


@BOTH
def test_gradients_of_16_bits_are_those_of_32_rounded_once(backend: ElementwiseBackend) -> None:
    """At a near-certain target y - 1 is far smaller than the last bit of y in bfloat16."""
    gradients = {}
    for dtype in (torch.float32, torch.bfloat16):
        logits = torch.tensor([[8.0, 0.0, 1.0], [0.5, 0.25, -1.0]], dtype=dtype)
        backend.cross_entropy(
            Student(logits, None, torch.tensor([0, 1])), torch.float32, GradRequest(torch.tensor([1, 0.75]), None)
        )
        gradients[dtype] = logits
    assert 0 < -float(gradients[torch.bfloat16][0, 0]) < 2e-3
    assert torch.equal(gradients[torch.bfloat16], gradients[torch.float32].bfloat16())


@BOTH
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_logit_that_is_not_finite_gives_losses_that_are_not(backend: ElementwiseBackend, bad: float) -> None:
    for row in range(2):
        one, other = student(), teacher()
        one.logits[row, 3] = bad
        for losses in (
            backend.cross_entropy(one, torch.float64, None),
            *backend.augmented(one, other, TEMPERATURE, GAMMA, torch.float64, None),
        ):
            assert losses.isfinite().tolist() == [index != row for index in range(6)]


@BOTH
def test_far_logits_give_no_underflow_in_the_losses(backend: ElementwiseBackend) -> None:
    logits = torch.tensor([[0.0, -1e4, 1e4], [-1e4, 1e4, 0.0]])
    losses = backend.cross_entropy(Student(logits, None, torch.tensor([2, 0])), torch.float32, None)
    assert losses.tolist() == [0.0, 2e4]


COLUMNS, ROWS = 83, 40


def run(count: int, dtype: torch.dtype, biased: bool = False) -> list[Tensor]:
    """Return losses, divergences, G and R of the first targets, each with three rows, and the bias's gradient."""
    draw = torch.Generator().manual_seed(0)
    logits, teacher_logits = ((5 * torch.randn(3 * ROWS, COLUMNS, generator=draw)).to(dtype) for _ in range(2))
    bias = torch.randn(COLUMNS, generator=draw) if biased else None
    of_row = torch.arange(count).repeat_interleave(3)
    student = Student(logits[: 3 * count], bias, of_row)
    teacher = Teacher(teacher_logits[:count], of_row)
    weights = torch.linspace(0.5, 1, 3 * ROWS)
    request = GradRequest(weights[: 3 * count], torch.zeros(COLUMNS) if biased else None, through_target=True)
    losses = CompiledBackend().augmented(student, teacher, 20.0, 0.65, torch.float32, request)
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
        student, teacher = Student(place[:4], None, words[:4]), Teacher(place[4:], torch.tensor([0, 0, 1, 1]))
        CompiledBackend().augmented(
            student, teacher, 20.0, 0.65, torch.float32, GradRequest(torch.ones(4), None, through_target=True)
        )
    assert torch.equal(logits, close)
    assert bool((wide[:, COLUMNS:] == 7).all())
