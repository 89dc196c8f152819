from __future__ import annotations

import math

import pytest
import torch

from tiedlm.theory.collapse import spread


def test_rows_along_the_axes_use_every_direction():
    found = spread(torch.cat([torch.eye(5), -torch.eye(5)]) * 3)
    assert found.mean_norm == pytest.approx(3)
    assert found.effective_directions == pytest.approx(5)
    cosines = -5 * 2 / (10 * 9)  # each row has one opposite, and is orthogonal to the others
    assert found.mean_cosine == pytest.approx(cosines)


def test_parallel_rows_have_collapsed():
    found = spread(torch.ones(7, 4) * torch.arange(1, 8)[:, None])
    assert found.mean_cosine == pytest.approx(1)
    assert found.effective_directions == pytest.approx(1)
    assert found.mean_norm == pytest.approx(2 * 4)


def test_random_rows_have_not():
    found = spread(torch.randn(2000, 20, generator=torch.Generator().manual_seed(1)))
    assert abs(found.mean_cosine) < 0.01
    assert 19 < found.effective_directions <= 20


def test_a_row_of_zeros_is_no_error():
    assert math.isfinite(spread(torch.tensor([[0.0, 0.0], [1.0, 0.0]])).mean_cosine)
