from __future__ import annotations

from pathlib import Path

import pytest

from support.published_results import add_group, add_result, move_to
from tiedlm.paper.collect import collect
from tiedlm.paper.standing import hours, standing, stands
from tiedlm.recipes import recipe


@pytest.mark.parametrize(("test", "verdict"), [(87.80, True), (87.804, True), (87.81, False), (80.0, True)])
def test_a_row_stands_up_to_half_a_point_above_the_papers(tmp_path: Path, test: float, verdict: bool) -> None:
    add_result(tmp_path, "ptb-small-vd", 0, test)
    assert stands(collect(tmp_path)["ptb-small-vd"]) is verdict


def test_the_mean_over_seeds_decides(tmp_path: Path) -> None:
    add_group(tmp_path, "ptb-small", {"vd": [(87.3,), (88.4,)]})
    assert stands(collect(tmp_path)["ptb-small-vd"]) is False


def test_a_row_of_two_trainings_does_not_stand_on_its_first(tmp_path: Path) -> None:
    add_result(tmp_path, "ptb-small-re", 0, 80.0)
    add_result(tmp_path, "ptb-small-al", 0, 90.0, 80.0)
    rows = collect(tmp_path)
    assert stands(rows["ptb-small-re"]) is None
    assert stands(rows["ptb-small-al"]) is True


def test_all_rows_are_counted_and_a_row_beside_the_papers_is_not(tmp_path: Path) -> None:
    add_result(tmp_path, "ptb-small-vd", 0, 87.0)
    add_result(tmp_path, "ptb-medium-vd", 0, 90.0)
    found = standing(collect(tmp_path))
    assert (found.rows, found.run, found.stand) == (30, 2, 1)


def test_hours_are_those_of_every_training_of_every_seed(tmp_path: Path) -> None:
    epochs = recipe("ptb-small-al").training.epochs
    add_result(tmp_path, "ptb-small-al", 0, 90.0, 83.0, seconds=36.0)
    add_result(tmp_path, "ptb-small-al", 1, 90.0, seconds=72.0, processor="another")
    rows = collect(tmp_path)
    assert hours(rows["ptb-small-al"]) == pytest.approx({"a processor": 0.02 * epochs, "another": 0.02 * epochs})
    add_result(tmp_path, "ptb-small-vd", 0, 88.0, seconds=36.0)
    assert standing(collect(tmp_path)).hours == pytest.approx({"a processor": 0.03 * epochs, "another": 0.02 * epochs})


def test_hours_are_told_by_the_machine_that_spent_them(tmp_path: Path) -> None:
    """Of the epochs, those from the 31st on were trained elsewhere."""
    epochs = recipe("ptb-small-vd").training.epochs
    add_result(tmp_path, "ptb-small-vd", 0, 88.0, seconds=36.0, moves=[move_to("elsewhere", epoch=31)])
    found = hours(collect(tmp_path)["ptb-small-vd"])
    assert found == pytest.approx({"a processor": 0.3, "elsewhere": 0.01 * (epochs - 30)})
