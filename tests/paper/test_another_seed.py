from __future__ import annotations

import math
import random
import statistics
from pathlib import Path

import pytest

from support.published_results import add_group, add_result
from tiedlm.paper.another_seed import SeedSpread, log_perplexities, seed_spread
from tiedlm.paper.collect import collect
from tiedlm.paper.paired import t_quantile


def test_without_two_seeds_of_a_row_there_is_no_spread(tmp_path: Path) -> None:
    add_result(tmp_path, "ptb-small-vd", 0, 88.0)
    add_group(tmp_path, "ptb-medium", {"vd": [(80.0,)]})
    assert seed_spread(collect(tmp_path).values()) is None


def test_rows_are_pooled_by_their_degrees_of_freedom(tmp_path: Path) -> None:
    add_group(tmp_path, "ptb-small", {"vd": [(86.0,), (88.0,), (87.0,)]})
    add_group(tmp_path, "ptb-medium", {"vd": [(78.0,), (80.0,)]})
    found = seed_spread(collect(tmp_path).values())
    assert found is not None
    small, medium = ([math.log(value) for value in values] for values in ((86.0, 88.0, 87.0), (78.0, 80.0)))
    expected = math.sqrt((2 * statistics.variance(small) + statistics.variance(medium)) / 3)
    assert found.degrees == 3
    assert found.sd == pytest.approx(expected, rel=1e-12)


def test_a_first_training_of_two_is_not_counted(tmp_path: Path) -> None:
    add_group(tmp_path, "ptb-small", {"re": [(87.0, 85.0), (99.0,)]})
    rows = collect(tmp_path)
    assert log_perplexities(rows["ptb-small-re"]) == [pytest.approx(math.log(85.0))]
    assert seed_spread(rows.values()) is None


@pytest.mark.parametrize(
    ("degrees", "quantile"),
    [(1, 12.7062), (4, 2.7764), (10, 2.2281)],  # printed tables of Student's distribution
)
def test_the_range_lies_around_the_mean_of_the_logarithms(degrees: int, quantile: float) -> None:
    low, high = SeedSpread(sd=0.004, degrees=degrees).range([math.log(80.0), math.log(90.0)])
    assert math.sqrt(low * high) == pytest.approx(math.sqrt(80.0 * 90.0), rel=1e-9)
    assert math.log(high / low) / 2 == pytest.approx(quantile * 0.004 * math.sqrt(1.5), rel=1e-4)


def test_nineteen_of_twenty_seeds_fall_into_it() -> None:
    """Drawn: rows of two seeds with one true spread, and one more seed of the first."""
    draw, inside, trials = random.Random(4), 0, 4000
    assert t_quantile(0.05, 4) == pytest.approx(2.7764, abs=1e-4)
    for _ in range(trials):
        rows = [[draw.gauss(4.4, 0.004) for _ in range(2)] for _ in range(4)]
        sd = math.sqrt(statistics.fmean(statistics.variance(row) for row in rows))
        low, high = SeedSpread(sd=sd, degrees=4).range(rows[0])
        inside += low < math.exp(draw.gauss(4.4, 0.004)) < high
    assert inside / trials == pytest.approx(0.95, abs=0.015)
