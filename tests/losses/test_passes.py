"""The passes between the products: the definition's values and gradients, plain and compiled, each rounded once."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from support.compare import assert_close
from support.native_code import needs_a_compiler
from tiedlm.errors import ArgumentError
from tiedlm.losses.passes import Passes, PlainPasses, Sink, Student, Teacher, row_dot
from tiedlm.losses.passes_compiled import CompiledPasses

TEMPERATURE, GAMMA = 3.0, 0.7
WORDS = torch.tensor([1, 1, 4, 6, 6, 6])
OF_ROW = torch.tensor([0, 0, 1, 2, 2, 2])
WEIGHTS = torch.linspace(0.5, 2.0, 6, dtype=torch.float64)
COMPILED = pytest.param(CompiledPasses(), id="compiled", marks=needs_a_compiler)
BOTH = pytest.mark.parametrize("passes", [pytest.param(PlainPasses(), id="plain"), COMPILED])
BIASES = pytest.mark.parametrize("biased", [False, True])


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def student(biased: bool = False) -> Student:
    return Student(3 * drawn(1, 6, 9), drawn(2, 9) if biased else None, WORDS)


def teacher(mask: Tensor | None = None) -> Teacher:
    return Teacher(OF_ROW, 4 * drawn(0, 3, 9), mask)


def sink(one: Student, through: bool = False) -> Sink:
    return Sink(WEIGHTS, None if one.bias is None else torch.zeros_like(one.bias), through)


def divergences(logits: Tensor, teacher_logits: Tensor, mask: Tensor | None = None) -> Tensor:
    named = slice(None) if mask is None else mask
    target = (teacher_logits[:, named][OF_ROW] / TEMPERATURE).softmax(1)
    return F.kl_div((logits / TEMPERATURE).log_softmax(1)[:, named], target, reduction="none").sum(1)


@BOTH
@BIASES
def test_cross_entropy_and_its_gradient(passes: Passes, biased: bool) -> None:
    one, place = student(biased), sink(student(biased))
    alone = passes.cross_entropy(one, torch.float64, None)
    logits = one.logits.clone().requires_grad_()
    bias = (torch.zeros(9, dtype=torch.float64) if one.bias is None else one.bias).clone().requires_grad_()
    losses = passes.cross_entropy(one, torch.float64, place)
    truth = F.cross_entropy(logits + bias, WORDS, reduction="none")
    (WEIGHTS * truth).sum().backward()
    assert torch.equal(alone, losses)
    assert_close(losses, truth.detach(), 1e-14)
    assert_close(one.logits, logits.grad, 1e-14)
    if place.at_bias is not None:
        assert_close(place.at_bias, bias.grad, 1e-14)


@BOTH
@BIASES
@pytest.mark.parametrize("mask", [None, torch.tensor([True, True, False] * 3)], ids=["all", "masked"])
def test_augmented_loss_and_its_gradients(passes: Passes, biased: bool, mask: Tensor | None) -> None:
    one, other = student(biased), teacher(mask)
    logits, teacher_logits = one.logits.clone().requires_grad_(), other.logits.clone().requires_grad_()
    bias = (torch.zeros(9, dtype=torch.float64) if one.bias is None else one.bias).clone().requires_grad_()
    hard = F.cross_entropy(logits + bias, WORDS, reduction="none")
    soft = divergences(logits, teacher_logits, mask)
    (WEIGHTS * (hard + GAMMA * TEMPERATURE * soft)).sum().backward()
    alone = passes.augmented(one, other, TEMPERATURE, GAMMA, torch.float64, None)
    place = sink(one, through=True)
    losses, divergence = passes.augmented(one, other, TEMPERATURE, GAMMA, torch.float64, place)
    assert torch.equal(torch.stack(alone), torch.stack([losses, divergence]))
    assert_close(losses, hard.detach(), 1e-14)
    assert_close(divergence, soft.detach(), 1e-13)
    assert_close(one.logits, logits.grad, 1e-13)
    assert_close(other.logits, teacher_logits.grad, 1e-13)
    if place.at_bias is not None:
        assert_close(place.at_bias, bias.grad, 1e-13)


@BOTH
def test_the_teachers_logits_stay_unless_the_gradient_through_them_is_wanted(passes: Passes) -> None:
    one, other = student(), teacher()
    before = other.logits.clone()
    passes.augmented(one, other, TEMPERATURE, GAMMA, torch.float64, sink(one))
    assert torch.equal(other.logits, before)


@BOTH
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_many_words_in_the_types_that_are_trained_in(passes: Passes, dtype: torch.dtype) -> None:
    """Against the same in float64 of the same logits: slack for losses in float32, G and R rounded to the type."""
    logits = {"student": (3 * drawn(5, 6, 1003)).to(dtype), "teacher": (3 * drawn(6, 3, 1003)).to(dtype)}
    found = _augmented(passes, **logits, wide=torch.float32)
    truth = _augmented(PlainPasses(), **{name: one.double() for name, one in logits.items()}, wide=torch.float64)
    slack = 1e-5 if dtype == torch.float32 else 2**-8
    for one, other, most in zip(found, truth, (1e-6, 1e-4, slack, slack), strict=True):
        assert_close(one.double(), other, most)


def _augmented(passes: Passes, student: Tensor, teacher: Tensor, wide: torch.dtype) -> list[Tensor]:
    """Return losses, divergences, G and R."""
    one, other = Student(student.clone(), None, WORDS), Teacher(OF_ROW, teacher.clone())
    losses = passes.augmented(one, other, 20.0, GAMMA, wide, Sink(WEIGHTS.to(wide), None, through=True))
    return [*losses, one.logits, other.logits]


@BOTH
def test_no_divergence_from_itself(passes: Passes) -> None:
    other = teacher()
    one, plain = (Student(other.logits[OF_ROW].contiguous(), None, WORDS) for _ in range(2))
    _, divergence = passes.augmented(one, other, TEMPERATURE, GAMMA, torch.float64, sink(one))
    assert float(divergence.abs().max()) < 1e-14
    passes.cross_entropy(plain, torch.float64, sink(plain))
    assert_close(one.logits, plain.logits, 1e-13)


@BOTH
def test_gradients_of_16_bits_are_those_of_32_rounded_once(passes: Passes) -> None:
    """At a near-certain target y - 1 is far smaller than the last bit of y in bfloat16."""
    gradients = {}
    for dtype in (torch.float32, torch.bfloat16):
        logits = torch.tensor([[8.0, 0.0, 1.0], [0.5, 0.25, -1.0]], dtype=dtype)
        passes.cross_entropy(
            Student(logits, None, torch.tensor([0, 1])), torch.float32, Sink(torch.tensor([1, 0.75]), None)
        )
        gradients[dtype] = logits
    assert 0 < -float(gradients[torch.bfloat16][0, 0]) < 2e-3
    assert torch.equal(gradients[torch.bfloat16], gradients[torch.float32].bfloat16())


@pytest.mark.parametrize("rows", [1, 5])
def test_row_dot(rows: int) -> None:
    left, right = drawn(3, rows, 9), drawn(4, rows, 9)
    assert_close(row_dot(left, right), (left * right).sum(1), 1e-12)


@BOTH
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_logit_that_is_not_finite_gives_losses_that_are_not(passes: Passes, bad: float) -> None:
    for row in range(2):
        one, other = student(), teacher()
        one.logits[row, 3] = bad
        for losses in (
            passes.cross_entropy(one, torch.float64, None),
            *passes.augmented(one, other, TEMPERATURE, GAMMA, torch.float64, None),
        ):
            assert losses.isfinite().tolist() == [index != row for index in range(6)]


@BOTH
def test_far_logits_give_no_underflow_in_the_losses(passes: Passes) -> None:
    logits = torch.tensor([[0.0, -1e4, 1e4], [-1e4, 1e4, 0.0]])
    losses = passes.cross_entropy(Student(logits, None, torch.tensor([2, 0])), torch.float32, None)
    assert losses.tolist() == [0.0, 2e4]


def test_columns_that_lie_apart_are_refused() -> None:
    apart = torch.zeros(4, 8)[:, ::2]
    with pytest.raises(ArgumentError, match=r"Columns lie 2 apart.*the compiled passes"):
        CompiledPasses().cross_entropy(Student(apart, None, torch.zeros(4, dtype=torch.long)), torch.float32, None)
