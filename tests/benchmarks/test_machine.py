"""What measurements are written down with."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from support.scripts import benchmark

machine = benchmark("machine")


def test_facts_tell_machine_and_versions() -> None:
    found = machine.facts()
    assert tuple(found) == machine.FACTS
    assert found["device"] == "cpu"
    assert found["threads"] >= 1


def test_peak_memory_counts_what_is_gone_again() -> None:
    before = machine.peak_memory_mib()
    np.ones(60 * 2**20 // 8)
    more = machine.peak_memory_mib() - before
    assert 0 < before < 100_000
    assert more == pytest.approx(60, abs=60)  # what was free already need not be asked for again
    np.ones(400 * 2**20 // 8)
    assert machine.peak_memory_mib() - before > 300


def test_rows_are_appended_under_one_line_of_headings(tmp_path: Path) -> None:
    path = tmp_path / "new" / "step.csv"
    rows = [{"a": 1, "b": "x, y"}, {"a": 2, "b": "z"}]
    for row in (*rows, rows[0]):
        machine.append_csv(path, row)
    with path.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert found == [{name: str(value) for name, value in row.items()} for row in (*rows, rows[0])]


def test_other_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "step.csv"
    machine.append_csv(path, {"a": 1})
    machine.begin_csv(path, ["a"])
    for refuses in (lambda: machine.append_csv(path, {"a": 1, "b": 2}), lambda: machine.begin_csv(path, ["a", "b"])):
        with pytest.raises(SystemExit, match=r"has the columns \['a'\], but \['a', 'b'\] are due\. Move it away"):
            refuses()
    assert path.read_text() == "a\n1\n"


def test_an_empty_file_is_begun(tmp_path: Path) -> None:
    path = tmp_path / "step.csv"
    path.touch()
    machine.begin_csv(path, ["a", "b"])
    assert path.read_text() == "a,b\n"


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, Path(__file__) / "step.csv"):
        with pytest.raises(SystemExit, match=r"cannot be written: .* Name another CSV with --output"):
            machine.begin_csv(path, ["a"])
