from __future__ import annotations

from pathlib import Path

import pytest

from support.invented_analysis import CHANCES
from support.published_results import add_result
from tiedlm.paper.collect import collect
from tiedlm.paper.grid import Grid
from tiedlm.paper.measured import NEAR
from tiedlm.paper.table4 import pairs
from tiedlm.paper.table4_tables import claims, claims_csv

LESS = {name: 0.5 * chance for name, chance in CHANCES.items()}


def row(grid: Grid, group: str) -> dict[str, str]:
    """Heading → cell of a pair's line after as many trainings as in the paper."""
    (cells,) = (cells for cells in grid.rows if cells[0].strip("`") == group)
    return dict(zip(grid.headings, cells, strict=True))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    add_result(tmp_path, "ptb-large-vd", 0, 80.0, chances=CHANCES)
    add_result(tmp_path, "ptb-large-real", 0, 80.0, chances=LESS)
    add_result(tmp_path, "ptb-medium-vd", 0, 80.0, chances=CHANCES)
    add_result(tmp_path, "ptb-medium-real", 0, 80.0, chances=CHANCES | {"a": 0.01, NEAR: 0.05})
    add_result(tmp_path, "wikitext2-small-vd", 0, 80.0)
    add_result(tmp_path, "wikitext2-small-real", 0, 80.0)
    return tmp_path


def test_ratios_have_intervals_and_words_that_receive_less_are_named(results):
    grid = claims("table4", pairs(collect(results)))
    large, medium = row(grid, "ptb-large"), row(grid, "ptb-medium")
    assert large["`the`"] == "0.500 [0.500, 0.500]"
    assert (large["less for"], medium["less for"]) == ("all four", "`a`")
    assert medium["`the`"] == "1.000 [1.000, 1.000]"
    assert (large["trainings, VD / REAL"], large["seeds"]) == ("1 / 1", "1")


def test_near_words_and_the_word_itself_stand_in_the_second_table(results):
    medium = row(claims("table4-elsewhere", pairs(collect(results))), "ptb-medium")
    assert medium["near"].startswith("1.250")
    assert medium["the word itself"].startswith("1.000")
    assert medium["less for"] == "`a`"


def test_what_was_not_run_and_what_was_not_measured_say_so(results):
    grid = claims("table4", pairs(collect(results)))
    told = row(grid, "wikitext2-small"), row(grid, "wikitext2-medium")
    assert [cells["`an`"] for cells in told] == ["not measured", "not run"]
    assert [cells["seeds"] for cells in told] == ["–", "–"]
    assert [cells["less for"] for cells in told] == ["not known"] * 2


def test_where_no_word_receives_less_that_is_told(tmp_path):
    for model in ("vd", "real"):
        add_result(tmp_path, f"ptb-large-{model}", 0, 80.0, chances=CHANCES)
    assert row(claims("table4", pairs(collect(tmp_path))), "ptb-large")["less for"] == "none"


def test_the_same_figures_to_compute_with(results):
    grid = claims_csv("table4", pairs(collect(results)))
    assert len(grid.rows) == 8
    told = dict(zip(grid.headings, grid.rows[-1], strict=True))
    assert (told["models"], told["measure"], told["seeds"]) == ("ptb-large", "the, everywhere", "0")
    assert (float(told["vd"]), float(told["real"])) == pytest.approx((0.06, 0.03), rel=1e-3)
    assert [float(told[name]) for name in ("ratio", "low", "high", "ratio_of_each_seed")] == [0.5] * 4
