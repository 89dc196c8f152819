"""The t-test, against printed tables of Student's distribution and against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest

from tiedlm.errors import ArgumentError
from tiedlm.paper.paired import paired_t_test, t_quantile, two_sided_p

# Two-sided 5 % and 0.1 % points, from a printed table.
TABLE = {1: (12.706, 636.619), 2: (4.303, 31.599), 3: (3.182, 12.924), 4: (2.776, 8.610), 9: (2.262, 4.781)}


@pytest.mark.parametrize("degrees", TABLE)
def test_the_printed_table(degrees: int) -> None:
    for t, p in zip(TABLE[degrees], (0.05, 0.001), strict=True):
        assert two_sided_p(t, degrees) == pytest.approx(p, rel=1e-3)
        assert two_sided_p(-t, degrees) == two_sided_p(t, degrees)
        assert t_quantile(p, degrees) == pytest.approx(t, abs=6e-4)


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0, 5.0])
def test_closed_forms_of_few_degrees(t: float) -> None:
    assert two_sided_p(t, 1) == pytest.approx(1 - 2 / math.pi * math.atan(t), abs=1e-14)
    assert two_sided_p(t, 2) == pytest.approx(1 - t / math.sqrt(2 + t * t), abs=1e-14)
    cos2 = 1 / (1 + t * t / 4)
    assert two_sided_p(t, 4) == pytest.approx(1 - math.sqrt(1 - cos2) * (1 + cos2 / 2), abs=1e-14)


def test_many_degrees_are_nearly_normal() -> None:
    assert two_sided_p(1.959964, 100_000) == pytest.approx(0.05, rel=1e-4)


def test_three_pairs_by_hand() -> None:
    """Mean 2, sd 1, so t = 2 sqrt(3) with two degrees: p = 1 - t / sqrt(2 + t^2)."""
    found = paired_t_test([1.0, 2.0, 3.0])
    t = 2 * math.sqrt(3)
    assert (found.n, found.mean) == (3, 2.0)
    assert found.p == pytest.approx(1 - t / math.sqrt(2 + t * t), rel=1e-12)
    assert found.half_width == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)


def test_the_interval_holds_zero_exactly_where_p_is_above_a_twentieth() -> None:
    for shift in (0.5, 1.0, 2.0, 2.4, 2.6, 4.0):
        found = paired_t_test([shift - 1, shift, shift + 1])
        assert found.p is not None
        assert found.half_width is not None
        assert (found.p > 0.05) == (found.half_width > found.mean)


@pytest.mark.parametrize("differences", [[1.0], [1.0, 3.0]])
def test_too_few_seeds_have_a_mean_and_nothing_else(differences: list[float]) -> None:
    found = paired_t_test(differences)
    assert (found.p, found.half_width) == (None, None)
    assert found.mean == sum(differences) / len(differences)


def test_differences_without_spread() -> None:
    assert paired_t_test([2.0] * 3).p == 0.0
    assert paired_t_test([0.0] * 3).p == 1.0
    assert paired_t_test([2.0] * 3).half_width == 0.0


def test_no_differences_are_an_error() -> None:
    with pytest.raises(ArgumentError, match="one difference or more"):
        paired_t_test([])
