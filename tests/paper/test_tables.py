"""The three tables on invented results."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from support.published_results import add_group
from tiedlm.paper.collect import collect
from tiedlm.paper.published import PUBLISHED
from tiedlm.paper.published_citations import CITATIONS
from tiedlm.paper.tables import HEADINGS, TITLES, table, table_csv


@pytest.fixture
def cells(tmp_path: Path) -> dict[tuple[str, str], list[str]]:
    """(recipe, trainings) → cells after these, of Table 1 with some rows run."""
    add_group(tmp_path, "ptb-small", {"re": [(87.0, 85.0), (88.0, 85.5)], "vd": [(87.9, 87.8)]})
    return {(row[1].strip("`"), row[2]): list(row[3:]) for row in table("table1", collect(tmp_path)).rows}


def test_a_row_after_the_papers_number_of_trainings_is_set_against_it(cells: dict[tuple[str, str], list[str]]) -> None:
    assert cells["ptb-small-re", "2"] == [
        *("2", "90.25 ± 0.35", "89.9", "+0.35", "85.25 ± 0.35", "85.1", "+0.15", "yes")
    ]
    assert cells["ptb-small-vd", "1"] == ["1", "92.90", "92.6", "+0.30", "87.90", "87.3", "+0.60", "no"]


def test_other_numbers_of_trainings_stand_apart_and_beside_nothing(cells: dict[tuple[str, str], list[str]]) -> None:
    assert cells["ptb-small-re", "1"] == ["2", "92.50 ± 0.71", "–", "–", "87.50 ± 0.71", "–", "–", "–"]
    assert cells["ptb-small-vd", "2"] == ["1", "92.80", "–", "–", "87.80", "–", "–", "–"]


def test_what_was_not_run_says_so(cells: dict[tuple[str, str], list[str]]) -> None:
    assert cells["ptb-small-al", "2"] == ["–", "not run", "86.3", "–", "not run", "82.9", "–", "–"]
    assert ("ptb-small-al", "1") not in cells
    assert sum("not run" in row for row in cells.values()) == 18


@pytest.mark.parametrize(("name", "count"), [("table1", 20), ("table2", 8), ("table3", 4)])
def test_every_row_is_in_its_table_in_the_papers_order(tmp_path: Path, name: str, count: int) -> None:
    found = [row[1].strip("`") for row in table(name, collect(tmp_path)).rows]
    recipes = [recipe for recipe in found if recipe != "–"]
    assert len(recipes) == count
    if name == "table3":
        assert recipes == [row.recipe for row in CITATIONS if row.recipe] + ["ptb-rhn-real"]
    else:
        assert recipes == [key for key, row in PUBLISHED.items() if TITLES[name].startswith(f"{row.table}:")]


def test_a_row_beside_the_paper_follows_the_one_that_it_repeats(tmp_path: Path) -> None:
    add_group(tmp_path, "ptb-small", {"re": [(87.0, 85.0)]})
    found = {(row[1].strip("`"), row[2]): list(row[3:]) for row in table("beside", collect(tmp_path)).rows}
    names = ["ptb-small-re", "ptb-small-re-bias", "ptb-small-real", "ptb-small-real-bias"]
    assert list(dict.fromkeys(name for name, _ in found)) == names
    assert found["ptb-small-re", "2"] == ["1", "90.00", "89.9", "+0.10", "85.00", "85.1", "-0.10", "yes"]
    assert found["ptb-small-re-bias", "2"] == ["–", "not run", "–", "–", "not run", "–", "–", "–"]


def test_table_3_holds_the_figures_of_others(tmp_path: Path) -> None:
    rows = {row[0]: list(row[1:]) for row in table("table3", collect(tmp_path)).rows}
    assert rows["LSTM (medium), 20M"] == ["–", "–", "–", "–", "86.2", "–", "–", "82.7", "–", "–"]
    assert rows["RNN"] == ["–", "–", "–", "–", "–", "–", "–", "124.7", "–", "–"]
    assert rows["VD-RHN+RE, 24M"] == ["`ptb-rhn-re`", "1", "–", "not run", "68.1", "–", "not run", "66.0", "–", "–"]
    assert rows["VD-RHN+REAL"] == ["`ptb-rhn-real`", "1", "–", "not run", "–", "–", "not run", "–", "–", "–"]


def test_163_19_is_printed_as_the_paper_does(tmp_path: Path) -> None:
    assert any("163.19" in row for row in table("table2", collect(tmp_path)).rows)


def test_the_values_to_compute_with(tmp_path: Path) -> None:
    add_group(tmp_path, "ptb-small", {"re": [(87.0, 85.0), (88.0, 85.5)]})
    rows = list(csv.DictReader(io.StringIO(table_csv("table1", collect(tmp_path)).csv())))
    row = next(row for row in rows if (row["recipe"], row["trainings"]) == ("ptb-small-re", "2"))
    assert row == {
        "model": "VD-LSTM+RE, small",
        "recipe": "ptb-small-re",
        "trainings": "2",
        "seeds": "0 1",
        "valid_mean": "90.25",
        "valid_sd": "0.3536",
        "valid_paper": "89.9",
        "valid_difference": "0.35",
        "test_mean": "85.25",
        "test_sd": "0.3536",
        "test_paper": "85.1",
        "test_difference": "0.15",
        "stands": "true",
    }
    empty = next(row for row in rows if row["recipe"] == "ptb-large-vd")
    assert (empty["test_mean"], empty["test_paper"], empty["seeds"], empty["stands"]) == ("", "72.6", "", "")


def test_headings_fit(tmp_path: Path) -> None:
    assert all(len(row) == len(HEADINGS) for name in TITLES for row in table(name, collect(tmp_path)).rows)
