"""Soft targets once a word, and the divergence from them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tiedlm.losses.softened import divergence_from, row_dot, soft_targets

TEMPERATURE = 3.0
WORDS = torch.tensor([1, 1, 4, 6, 6, 6])


def table() -> torch.Tensor:
    return torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def logits() -> torch.Tensor:
    return torch.randn(6, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_one_soft_target_a_distinct_word() -> None:
    teacher = soft_targets(table(), WORDS, TEMPERATURE, torch.float64)
    assert teacher.words.tolist() == [1, 4, 6]
    assert teacher.of_row.tolist() == [0, 0, 1, 2, 2, 2]
    expected = (table()[WORDS] @ table().T / TEMPERATURE).softmax(1)
    torch.testing.assert_close(teacher.soft[teacher.of_row], expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(teacher.normaliser, teacher.logits.logsumexp(1), rtol=1e-12, atol=0)


def test_divergence_is_that_of_the_definition() -> None:
    teacher = soft_targets(table(), WORDS, TEMPERATURE, torch.float64)
    student = logits()
    difference, divergence = divergence_from(teacher, student, TEMPERATURE)
    target = (table()[WORDS] @ table().T / TEMPERATURE).softmax(1)
    log_softened = F.log_softmax(logits() / TEMPERATURE, dim=1)
    expected = F.kl_div(log_softened, target, reduction="none").sum(1)
    torch.testing.assert_close(divergence, expected, rtol=1e-10, atol=0)
    torch.testing.assert_close(difference, log_softened.exp() - target, rtol=1e-10, atol=1e-16)
    assert float(expected.min()) > 0.01
    torch.testing.assert_close(student, logits() / TEMPERATURE, rtol=1e-15, atol=0)


def test_no_divergence_from_itself() -> None:
    teacher = soft_targets(table(), WORDS, TEMPERATURE, torch.float64)
    same = table()[WORDS] @ table().T
    difference, divergence = divergence_from(teacher, same, TEMPERATURE)
    assert float(divergence.abs().max()) < 1e-14
    assert float(difference.abs().max()) < 1e-15


@pytest.mark.parametrize("rows", [1, 5])
def test_row_dot(rows: int) -> None:
    left, right = logits()[:rows], logits()[:rows].flip(1)
    torch.testing.assert_close(row_dot(left, right), (left * right).sum(1), rtol=1e-12, atol=1e-15)
