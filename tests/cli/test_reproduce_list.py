from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.published_results import add_group, add_points, add_result
from tiedlm.cli import reproduce_list
from tiedlm.reproduction.published import PUBLISHED

HERE = "a processor"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIEDLM_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr(reproduce_list, "here", lambda: HERE)
    add_group(tmp_path / "results", "ptb-small", {"re": [(87.0, 85.0), (88.0,)], "vd": [(87.0,)] * 3})
    return tmp_path


def lines(tiedlm, project: Path, *arguments: str) -> dict[str, str]:
    """Row → its line."""
    answer = tiedlm("reproduce", "--list", *arguments, "--project", project)
    assert answer.status == 0, answer.error
    return {
        line.split()[0]: line for line in answer.output.splitlines() if line.split() and line.split()[0] in PUBLISHED
    }


def test_every_row_is_listed(tiedlm, project) -> None:
    assert list(lines(tiedlm, project)) == list(PUBLISHED)


def test_a_row_tells_published_ours_seeds_missing_and_cost(tiedlm, project) -> None:
    found = lines(tiedlm, project)
    assert found["ptb-small-re"].split("  ")[0] == "ptb-small-re"
    for told in ("Table 1", "85.1 (2 trainings)", "85.00", "0 1", "1 again, 2, 2 again", "3h00m"):
        assert told in found["ptb-small-re"]
    for told in ("87.00 ± 0.00", "0 1 2"):
        assert told in found["ptb-small-vd"]
    assert found["ptb-small-vd"].split()[-1] == "-"
    for told in ("not run", "0, 1, 2", "unknown"):
        assert told in found["ptb-large-vd"]


def test_figures_after_fewer_trainings_are_told_as_such(tiedlm, project) -> None:
    add_result(project / "results", "ptb-small-al", 0, 84.0)
    assert "84.00 after 1" in lines(tiedlm, project)["ptb-small-al"]


def test_costs_of_another_machine_are_told_as_such(tiedlm, project, monkeypatch) -> None:
    monkeypatch.setattr(reproduce_list, "here", lambda: "a laptop")
    assert "3h00m on a processor" in lines(tiedlm, project)["ptb-small-re"]


def test_rows_can_be_chosen(tiedlm, project) -> None:
    assert list(lines(tiedlm, project, "table2", "--only", "half1", "vd")) == ["wikitext2-half1-small-vd"]
    answer = tiedlm("reproduce", "tabel1", "--list", "--project", project)
    assert answer.status == 2
    assert "Did you mean 'table1'?" in answer.error


def test_the_verdict_and_figure_1_stand_below(tiedlm, project) -> None:
    output = tiedlm("reproduce", "--list", "--project", project).output
    assert "2 of the paper's 30 rows stand" in output
    assert "Figure 1: not run." in output
    add_points(project / "results")
    assert "Figure 1: 18 of 18 runs." in tiedlm("reproduce", "--list", "--project", project).output


def test_figure_1_has_a_list_of_its_own(tiedlm, project) -> None:
    assert tiedlm("reproduce", "--list", "figure1", "--project", project).output.startswith("Figure 1: not run.")
    as_json = ("reproduce", "--list", "figure1", "--json", "--project", project)
    assert json.loads(tiedlm(*as_json).output) == {"figure1": None}
    add_points(project / "results", runs=[0, 1, 2, 3])
    output = tiedlm("reproduce", "--list", "figure1", "--project", project).output
    assert "0.050 ± 0.010  about 0.06" in output
    assert "Missing: runs 3 of every point." in output
    assert "ptb-small" not in output
    told = json.loads(tiedlm(*as_json).output)["figure1"]
    assert told["chance"] == pytest.approx(0.97**0.5)
    assert told["missing"][0] == {"tau": 10.0, "beta": 0.0, "runs": [3]}


def test_as_json_every_missing_training_has_its_command(tiedlm, project) -> None:
    answer = tiedlm("reproduce", "ptb-small-re", "ptb-small-vd", "--list", "--json", "--project", project)
    told = json.loads(answer.output)
    assert [row["row"] for row in told["rows"]] == ["ptb-small-vd", "ptb-small-re"]
    assert told["rows"][1]["ours_after_trainings"]["2"]["test"] == {"0": pytest.approx(85.0)}
    assert told["rows"][1]["published"]["test"] == 85.1
    assert [(step["seed"], step["training"]) for step in told["missing"]] == [(1, 2), (2, 1), (2, 2)]
    folders = [training["command"].split()[6] for training in told["trainings"]]
    assert [Path(folder).name for folder in folders] == [
        *("ptb-small-re-seed-1", "ptb-small-re-seed-1-second", "ptb-small-re-seed-2", "ptb-small-re-seed-2-second")
    ]
    assert all(training["seconds_left"] == pytest.approx(3600) for training in told["trainings"])


def test_this_machine_has_a_name() -> None:
    assert reproduce_list.here()
