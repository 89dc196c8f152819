"""The passes between the products: the definition's values and gradients, plain and compiled, each rounded once."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from support.compare import assert_close
from tiedlm.losses.passes import Passes, PlainPasses, Sink, Student, Teacher, row_dot
from tiedlm.losses.passes_compiled import CompiledPasses

TEMPERATURE, GAMMA = 3.0, 0.7
WORDS = torch.tensor([1, 1, 4, 6, 6, 6])
OF_ROW = torch.tensor([0, 0, 1, 2, 2, 2])
WEIGHTS = torch.linspace(0.5, 2.0, 6, dtype=torch.float64)
BOTH = pytest.mark.parametrize("passes", [PlainPasses(), CompiledPasses()], ids=["plain", "compiled"])
BIASES = pytest.mark.parametrize("biased", [False, True])


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def student(biased: bool = False) -> Student:
    return Student(3 * drawn(1, 6, 9), drawn(2, 9) if biased else None, WORDS)


def teacher(passes: Passes, logits: Tensor | None = None, mask: Tensor | None = None) -> Teacher:
    logits = 4 * drawn(0, 3, 9) if logits is None else logits
    return Teacher(OF_ROW, logits, *passes.soft_targets(logits, mask, TEMPERATURE, torch.float64))


def sink(one: Student) -> Sink:
    return Sink(WEIGHTS, None if one.bias is None else torch.zeros_like(one.bias))


def divergences(logits: Tensor, teacher_logits: Tensor) -> Tensor:
    target = (teacher_logits[OF_ROW] / TEMPERATURE).softmax(1)
    return F.kl_div((logits / TEMPERATURE).log_softmax(1), target, reduction="none").sum(1)


@BOTH
def test_soft_targets_and_their_entropy(passes: Passes) -> None:
    found = teacher(passes)
    expected = (found.logits / TEMPERATURE).softmax(1)
    assert_close(found.soft, expected, 1e-14)
    assert_close(found.entropy, torch.special.entr(expected).sum(1), 1e-14)


@BOTH
def test_soft_targets_under_a_mask(passes: Passes) -> None:
    mask = torch.tensor([True, True, False] * 3)
    found = teacher(passes, mask=mask)
    expected = (found.logits[:, mask] / TEMPERATURE).softmax(1)
    assert_close(found.soft[:, mask], expected, 1e-14)
    assert (found.soft[:, ~mask] == 0).all()
    assert_close(found.entropy, torch.special.entr(expected).sum(1), 1e-14)


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
def test_augmented_loss_and_its_gradients(passes: Passes, biased: bool) -> None:
    one, other = student(biased), teacher(passes)
    logits, teacher_logits = one.logits.clone().requires_grad_(), other.logits.clone().requires_grad_()
    bias = 0 if one.bias is None else one.bias
    hard, soft = F.cross_entropy(logits + bias, WORDS, reduction="none"), divergences(logits, teacher_logits)
    (WEIGHTS * (hard + GAMMA * TEMPERATURE * soft)).sum().backward()
    alone = passes.augmented(one, other, TEMPERATURE, GAMMA, None)
    passes.at_teacher(one, other, WEIGHTS, TEMPERATURE, GAMMA)
    losses, divergence = passes.augmented(one, other, TEMPERATURE, GAMMA, sink(one))
    assert torch.equal(torch.stack(alone), torch.stack([losses, divergence]))
    assert_close(losses, hard.detach(), 1e-14)
    assert_close(divergence, soft.detach(), 1e-13)
    assert_close(one.logits, logits.grad, 1e-13)
    assert_close(other.logits, teacher_logits.grad, 1e-13)


@BOTH
def test_no_divergence_from_itself(passes: Passes) -> None:
    other = teacher(passes)
    one, plain = (Student(other.logits[OF_ROW].contiguous(), None, WORDS) for _ in range(2))
    _, divergence = passes.augmented(one, other, TEMPERATURE, GAMMA, sink(one))
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
