"""The comparison that the tests lean on must itself be able to fail."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from support.compare import assert_close, error

TRUTH = 1e-3 * torch.randn(5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("zero", torch.zeros_like(TRUTH)),
        ("sign flipped", -TRUTH),
        ("transposed", TRUTH.T),
        ("twice as large", 2 * TRUTH),
        ("half: one of a tied table's two readings is missing", TRUTH / 2),
        ("one row missing", torch.cat([TRUTH[:4], torch.zeros(1, 5)])),
        ("filtered: small entries dropped", TRUTH.where(TRUTH.abs() > 2**-12, 0)),
        ("shifted by its mean", TRUTH - TRUTH.mean()),
        ("not a number", TRUTH.where(TRUTH > -1, 0) / torch.ones(5).index_fill(0, torch.tensor([2]), float("nan"))),
        ("infinite", TRUTH + float("inf")),
        ("one column short", TRUTH[:, :4]),
        ("none", None),
    ],
)
@pytest.mark.parametrize("relative", [1e-12, 1e-5, 1e-2])
def test_a_wrong_result_is_caught(name: str, wrong: torch.Tensor | None, relative: float) -> None:
    with pytest.raises(AssertionError):
        assert_close(wrong, TRUTH, relative, name)


def test_a_right_result_passes_and_its_error_is_told_on_the_truths_scale() -> None:
    assert_close(TRUTH * (1 + 1e-7), TRUTH, 1e-6)
    assert error(np.array([1.0, 200.0]), np.array([0.0, 200.0])) == pytest.approx(1 / 200)
    assert error(torch.zeros(2), np.zeros(2)) == 0
    assert error(torch.full((2,), 1e-30), np.zeros(2)) == float("inf")


@pytest.mark.parametrize("truth", [np.array([np.nan]), np.array([np.inf]), np.zeros((0,))])
def test_a_truth_that_proves_nothing_is_refused(truth: np.ndarray) -> None:
    with pytest.raises(AssertionError):
        error(truth, truth)
