"""Means, tests and intervals, against closed forms, printed tables and simulation."""

import math
import random
import statistics

import numpy as np
import pytest

from tiedlm.errors import ArgumentError
from tiedlm.paper.statistics import (
    Sample,
    block_bootstrap_ratio,
    paired_t_test,
    pooled_sd,
    student_p,
    student_quantile,
)


def test_a_sample_is_mean_and_spread_over_seeds() -> None:
    sample = Sample({0: 1.0, 2: 2.0, 5: 6.0})
    assert (sample.n, sample.mean, sample.sd) == (3, 3.0, pytest.approx(math.sqrt(7)))
    assert (sample.text(), sample.text(3)) == ("3.00 ± 2.65", "3.000 ± 2.646")
    assert (Sample({4: 80.126}).text(), Sample({4: 80.126}).sd) == ("80.13", None)
    assert sample.minus(Sample({0: 0.5, 5: 1.0, 7: 1.0})) == [0.5, 5.0]


@pytest.mark.parametrize(("degrees", "quantile"), [(1, 12.706), (2, 4.303), (3, 3.182), (9, 2.262), (30, 2.042)])
def test_quantiles_are_those_of_a_printed_table(degrees: int, quantile: float) -> None:
    assert student_quantile(0.05, degrees) == pytest.approx(quantile, abs=5e-4)
    assert student_p(-quantile, degrees) == pytest.approx(0.05, abs=1e-4)


def test_p_is_the_closed_form_of_one_and_two_degrees() -> None:
    for t in (0.0, 0.3, 2.0, 40.0):
        assert student_p(t, 1) == pytest.approx(1 - 2 / math.pi * math.atan(t), abs=1e-12)
        assert student_p(t, 2) == pytest.approx(1 - t / math.sqrt(2 + t * t), abs=1e-12)


def test_the_paired_test_by_hand() -> None:
    paired = paired_t_test([1.0, 2.0, 3.0])  # mean 2, sd 1: t = 2 sqrt(3), 2 degrees
    assert (paired.n, paired.mean) == (3, 2.0)
    assert paired.half_width == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)
    assert paired.p == pytest.approx(1 - 2 * math.sqrt(3) / math.sqrt(14), rel=1e-9)


def test_with_fewer_than_three_seeds_or_no_spread_there_is_no_test_to_make() -> None:
    two = paired_t_test([1.0, 2.0])
    assert (two.mean, two.half_width, two.p) == (1.5, None, None)
    same, none = paired_t_test([1.0] * 3), paired_t_test([0.0] * 3)
    assert ((same.half_width, same.p), (none.half_width, none.p)) == ((0.0, 0.0), (0.0, 1.0))


def test_the_spread_between_seeds_is_pooled_over_rows() -> None:
    rows = [Sample({0: 80.0, 1: 82.0}), Sample({0: 100.0, 1: 101.0, 2: 99.0}), Sample({0: 50.0})]
    logs = [[math.log(value) for value in row.by_seed.values()] for row in rows]
    spread = pooled_sd(rows)
    assert spread is not None
    assert spread.degrees == 3
    assert spread.sd**2 == pytest.approx((statistics.variance(logs[0]) + 2 * statistics.variance(logs[1])) / 3)
    low, high = spread.next_seed_range(rows[0])
    half = student_quantile(0.05, 3) * spread.sd * math.sqrt(1.5)
    assert (low, high) == (
        pytest.approx(math.sqrt(6560) * math.exp(-half)),
        pytest.approx(math.sqrt(6560) * math.exp(half)),
    )
    assert pooled_sd([rows[2]]) is None


def test_one_more_seed_falls_into_its_interval_as_often_as_promised() -> None:
    draw, inside = random.Random(0), 0
    for _ in range(400):
        *rows, new = [[math.exp(4 + draw.gauss(0, 0.02)) for _ in range(3)] for _ in range(4)]
        spread = pooled_sd(Sample(dict(enumerate(row))) for row in rows)
        assert spread is not None
        low, high = spread.next_seed_range(Sample(dict(enumerate(rows[0]))))
        inside += low < new[0] < high
    assert 0.92 < inside / 400 < 0.98


def test_a_ratio_of_sums_with_the_interval_of_a_plain_bootstrap() -> None:
    generator = np.random.default_rng(3)
    below = generator.uniform(1, 2, 30)
    above = 0.8 * below + generator.normal(0, 0.1, 30)
    ratio = block_bootstrap_ratio(above.tolist(), below.tolist())
    draws = np.random.default_rng(0).integers(0, 30, (10_000, 30))
    plain = [above[draw].sum() / below[draw].sum() for draw in draws]
    assert ratio.value == pytest.approx(above.sum() / below.sum())
    assert (ratio.low, ratio.high) == pytest.approx(tuple(np.quantile(plain, [0.025, 0.975])))
    assert ratio.low < ratio.value < ratio.high


@pytest.mark.parametrize(("above", "below"), [([1.0], [1.0, 2.0]), ([], []), ([1.0, 1.0], [1.0, 0.0])])
def test_blocks_that_do_not_compare_are_refused(above: list[float], below: list[float]) -> None:
    with pytest.raises(ArgumentError, match="A ratio needs"):
        block_bootstrap_ratio(above, below)
