from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from support.finished_run import EPOCHS, journal, make_run
from support.published_results import add_figure1, add_group, add_result
from support.run_folders import write_run
from tiedlm.cli import reproduce_list
from tiedlm.paper.figure1 import Setting
from tiedlm.paper.published import PUBLISHED
from tiedlm.recipes import recipe

HERE = "a processor"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIEDLM_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr(reproduce_list, "processor", lambda: HERE)
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
    for told in ("Table 1", "85.1 (2 trainings)", "85.00", "0 1", "1 again, 2, 2 again"):
        assert told in found["ptb-small-re"]
    for told in ("87.00 ± 0.00", "0 1 2"):
        assert told in found["ptb-small-vd"]
    assert found["ptb-small-vd"].split()[-1] == "-"
    for told in ("not run", "0, 1, 2", "(small network)"):
        assert told in found["ptb-large-vd"]


def test_before_any_training_costs_are_unknown(tiedlm, project) -> None:
    shutil.rmtree(project / "results")
    (project / "results").mkdir()
    assert lines(tiedlm, project)["ptb-large-vd"].endswith("  unknown")


def test_figures_after_fewer_trainings_are_told_as_such(tiedlm, project) -> None:
    add_result(project / "results", "ptb-small-al", 0, 84.0)
    assert "84.00 after 1" in lines(tiedlm, project)["ptb-small-al"]


def test_the_cost_is_that_of_every_training_that_would_run(tiedlm, project) -> None:
    """Of seed 1 the second training is missing; the run of the first is not here, so it is made again."""
    assert lines(tiedlm, project)["ptb-small-re"].endswith("  4h00m")
    make_run(project / "runs" / "ptb-small-re-seed-1")
    assert lines(tiedlm, project)["ptb-small-re"].endswith("  3h00m")


def test_what_a_run_has_done_costs_nothing_more(tiedlm, project) -> None:
    write_run(project / "runs" / "ptb-small-re-seed-2", events=journal(EPOCHS // 4))
    assert lines(tiedlm, project)["ptb-small-re"].endswith("  3h45m")


def test_what_costs_are_of_is_told_and_where_they_are_of_something_else(tiedlm, project, monkeypatch) -> None:
    def told(*options: str) -> tuple[str, str]:
        output = tiedlm("reproduce", "--list", "ptb-small-re", *options, "--project", project).output
        return output.splitlines()[1].split("  ")[-1], output

    cost, output = told()
    assert cost == "4h00m"
    assert f"one process in float32 on 1 thread of {HERE}, " in output
    cost, output = told("--precision", "bfloat16")
    assert cost == "4h00m (float32)"
    assert f"one process in bfloat16 on 1 thread of {HERE}, " in output
    monkeypatch.setattr(reproduce_list, "processor", lambda: "a laptop")
    assert told()[0] == f"4h00m ({HERE})"
    monkeypatch.setattr("tiedlm.paper.plan.THREADS", 4)
    cost, output = told("--precision", "bfloat16")
    assert cost == f"4h00m (float32, 1 thread, {HERE})"
    assert "one process in bfloat16 on 4 threads of a laptop, " in output


def test_costs_are_of_the_precision_that_is_asked_for(tiedlm, project) -> None:
    config = recipe("ptb-small-vd")
    config = replace(config, runtime=replace(config.runtime, precision="bfloat16"))
    add_result(project / "results", "ptb-small-vd", 3, 87.0, seconds=45.0, config=config)
    assert lines(tiedlm, project)["ptb-small-re"].endswith("  4h00m")
    assert lines(tiedlm, project, "--precision", "bfloat16")["ptb-small-re"].endswith("  2h00m")


def test_costs_are_of_the_device_that_is_asked_for(tiedlm, project, monkeypatch) -> None:
    monkeypatch.setattr(reproduce_list, "device_name", lambda device: f"a {device}")
    monkeypatch.setattr("tiedlm.native.device.resolve_device", lambda name: None)
    output = tiedlm("reproduce", "--list", "ptb-small-re", "--device", "gpu", "--project", project).output
    assert output.splitlines()[1].endswith(f"  4h00m ({HERE})")
    assert "one process in float32 on 1 thread of a gpu, " in output
    output = tiedlm("reproduce", "--list", "ptb-small-re", "--device", "cpu", "--project", project).output
    assert output.splitlines()[1].endswith("  4h00m")


@pytest.mark.parametrize("doing", [("--list",), ()])
def test_a_device_that_is_not_here_is_refused(tiedlm, project, doing) -> None:
    answer = tiedlm("reproduce", "ptb-small-re", *doing, "--device", "cuda:999", "--project", project)
    assert answer.status == 2
    assert "The device 'cuda:999' cannot be used here" in answer.error


def test_costs_are_not_told_of_where_there_are_none(tiedlm, project) -> None:
    assert "Costs" not in tiedlm("reproduce", "--list", "ptb-small-vd", "--project", project).output


def test_rows_can_be_chosen(tiedlm, project) -> None:
    assert list(lines(tiedlm, project, "table2", "--only", "half1", "vd")) == ["wikitext2-half1-small-vd"]
    answer = tiedlm("reproduce", "tabel1", "--list", "--project", project)
    assert answer.status == 2
    assert "Did you mean 'table1'?" in answer.error


def test_the_verdict_and_figure_1_stand_below(tiedlm, project) -> None:
    output = tiedlm("reproduce", "--list", "--project", project).output
    assert "Reproduced: 2 of 30 published rows" in output
    assert "Figure 1: not run." in output
    add_figure1(project / "results")
    assert "Figure 1: 27 of 27 runs." in tiedlm("reproduce", "--list", "--project", project).output


def test_figure_1_has_a_list_of_its_own(tiedlm, project) -> None:
    assert tiedlm("reproduce", "--list", "figure1", "--project", project).output.startswith("Figure 1: not run.")
    as_json = ("reproduce", "--list", "figure1", "--json", "--project", project)
    assert json.loads(tiedlm(*as_json).output) == {"figure1": None}
    add_figure1(project / "results", runs=3, without=[(Setting(10.0, 0.0), 2)])
    output = tiedlm("reproduce", "--list", "figure1", "--project", project).output
    assert "0.133 ± 0.001  about 0.06" in output
    assert "Missing: runs 2 of (τ 10, β 0)." in output
    assert "ptb-small" not in output
    told = json.loads(tiedlm(*as_json).output)["figure1"]
    assert told["chance"] == pytest.approx((1 - 300 / 3301) ** 0.5)
    assert told["missing"][0] == {"tau": 10.0, "beta": 0.0, "runs": [2]}


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
    conditions = {"size": "small", "machine": HERE, "precision": "float32", "threads": 1}
    assert all(training["seconds_of"] == conditions for training in told["trainings"])


def test_as_json_a_precision_is_in_the_commands_that_begin_a_training(tiedlm, project) -> None:
    make_run(project / "runs" / "ptb-small-re-seed-1")
    write_run(project / "runs" / "ptb-small-re-seed-2")
    options = ("--precision", "bfloat16", "--json", "--project", project)
    told = json.loads(tiedlm("reproduce", "ptb-small-re", "--list", *options).output)
    begins = [one["command"].endswith(" --runtime.precision bfloat16") for one in told["trainings"]]
    assert begins == [True, False, True]  # seed 1 again, seed 2 goes on, seed 2 again
    assert {training["seconds_of"]["precision"] for training in told["trainings"]} == {"float32"}
    options = ("--device", "cpu", *options)
    told = json.loads(tiedlm("reproduce", "ptb-small-re", "--list", *options).output)
    assert told["trainings"][0]["command"].endswith(" --runtime.device cpu --runtime.precision bfloat16")
