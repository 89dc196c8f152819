"""`tiedlm reproduce` and `publish`. Mistakes: golden/errors.txt."""

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from support.results import add_figure1, add_group, add_result, instead_of_measuring
from support.runs import EPOCHS, RECIPE, journal, make_run, recipe_config, scores, write_run
from tiedlm.cli.main import INTERRUPTED
from tiedlm.config import to_json
from tiedlm.native import device as native_device
from tiedlm.paper import plan, theory
from tiedlm.paper.publish import publish
from tiedlm.paper.published import PUBLISHED
from tiedlm.paper.render import BEGIN, END
from tiedlm.paper.results import read_result
from tiedlm.paper.theory import Figure1Status
from tiedlm.training import launcher
from tiedlm.training.jobs import JobResult, JobState

RE = "ptb-small-re"
HERE = "a processor"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with results of two rows on this processor, and a page for what is rendered."""
    monkeypatch.setenv("TIEDLM_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr(native_device, "processor", lambda: HERE)
    (tmp_path / "docs").mkdir()
    for page in ("README.md", "docs/results.md"):
        (tmp_path / page).write_text(f"{BEGIN}\n{END}\n")
    (tmp_path / "results").mkdir()
    return tmp_path


@pytest.fixture
def listed(project: Path) -> Path:
    add_group(project / "results", "ptb-small", {"re": [(87.0, 85.0), (88.0,)], "vd": [(87.0,)] * 3})
    return project


def lines(tiedlm, project: Path, *arguments: str) -> dict[str, str]:
    """Row → its line."""
    answer = tiedlm("reproduce", "--list", *arguments, "--project", project)
    assert answer.status == 0, answer.error
    words = [(line.split(), line) for line in answer.output.splitlines()]
    return {first[0]: line for first, line in words if first and first[0] in PUBLISHED}


def test_render_writes_what_differs_and_check_writes_nothing(tiedlm, project):
    add_result(project / "results", "wikitext2-small-vd", 0, 106.0)
    refused = tiedlm("reproduce", "--render", "--check", "--project", project)
    assert refused.status == 2
    assert "docs/tables/table1.md" in refused.error
    assert not (project / "docs/tables").exists()
    answer = tiedlm("reproduce", "--render", "--project", project)
    assert answer.status == 0, answer.error
    assert "docs/tables/table1.md\n" in answer.output
    assert "106.00" in (project / "docs/tables/table1.md").read_text()
    assert tiedlm("reproduce", "--render", "--check", "--project", project).status == 0


def test_a_row_lists_published_ours_seeds_missing_and_cost(tiedlm, listed):
    rows = lines(tiedlm, listed)
    assert list(rows) == list(PUBLISHED)
    for text in ("Table 1", "85.1 (2 trainings)", "85.00", "0 1", "1 again, 2, 2 again"):
        assert text in rows[RE]
    assert "87.00 ± 0.00" in rows["ptb-small-vd"]
    assert rows["ptb-small-vd"].split()[-1] == "-"
    assert "(small network)" in rows["ptb-large-vd"]
    add_result(listed / "results", "ptb-small-al", 0, 84.0)
    assert "84.00 after 1" in lines(tiedlm, listed)["ptb-small-al"]
    assert list(lines(tiedlm, listed, "table2", "--only", "half1", "vd")) == ["wikitext2-half1-small-vd"]
    shutil.rmtree(listed / "results")
    (listed / "results").mkdir()
    assert lines(tiedlm, listed)["ptb-large-vd"].endswith("  unknown")


def test_a_cost_is_that_of_what_is_left_to_train(tiedlm, listed):
    """Of seed 1 the second training is missing; the run of the first is not here, so it is repeated."""
    assert lines(tiedlm, listed)[RE].endswith("  4h00m")
    make_run(listed / "runs" / f"{RE}-seed-1")
    assert lines(tiedlm, listed)[RE].endswith("  3h00m")
    write_run(listed / "runs" / f"{RE}-seed-2", events=journal(EPOCHS // 4))
    assert lines(tiedlm, listed)[RE].endswith("  2h45m")


def test_a_cost_names_what_differed_in_the_runs_that_it_is_based_on(tiedlm, listed, monkeypatch):
    def cost(*options: str) -> tuple[str, str]:
        output = tiedlm("reproduce", "--list", RE, *options, "--project", listed).output
        return output.splitlines()[1].split("  ")[-1], output

    text, output = cost()
    assert text == "4h00m"
    assert f"one process (float32, 1 thread, {HERE})" in output
    text, output = cost("--precision", "bfloat16")
    assert text == "4h00m (float32)"
    monkeypatch.setattr(native_device, "device_name", lambda device: f"a {device}")
    monkeypatch.setattr(native_device, "resolve_device", lambda name: None)
    assert cost("--device", "gpu")[0] == f"4h00m ({HERE})"
    monkeypatch.setattr(plan, "THREADS", 4)
    assert cost("--precision", "bfloat16")[0] == "4h00m (float32, 1 thread)"


def test_the_list_as_json_has_a_command_for_every_training(tiedlm, listed):
    line = ("reproduce", "--list", RE, "--json", "--precision", "bfloat16", "--project", listed)
    report = json.loads(tiedlm(*line).output)
    [row] = report["rows"]
    assert (row["row"], row["published"]["test"]) == (RE, PUBLISHED[RE].test)
    assert row["ours_after_trainings"]["2"]["test"] == {"0": pytest.approx(85.0)}
    assert [(each["seed"], each["training"]) for each in report["missing"]] == [(1, 2), (2, 1), (2, 2)]
    first, *_ = report["trainings"]
    assert shlex.split(first["command"])[:5] == ["tiedlm", "train", RE, "--seed", "1"]
    assert first["command"].endswith(" --runtime.precision bfloat16")
    assert (first["done"], first["seconds_of"]["size"]) == (0, "small")


def test_the_summary_and_figure_1_stand_below_and_figure_1_alone(tiedlm, listed):
    assert "Figure 1: not run." in tiedlm("reproduce", "--list", "--project", listed).output
    assert tiedlm("reproduce", "--list", "figure1", "--project", listed).output.startswith("Figure 1: not run.")
    line = ("reproduce", "--list", "figure1", "--json", "--project", listed)
    assert json.loads(tiedlm(*line).output) == {"figure1": None}
    add_figure1(listed / "results")
    report = json.loads(tiedlm(*line).output)["figure1"]
    assert report["missing"] == []
    assert report["chance"] > 0
    assert "τ" in tiedlm("reproduce", "--list", "figure1", "--project", listed).output.splitlines()[0]


def test_what_is_missing_is_launched_and_published(tiedlm, project, launched):
    options = ["--seeds", "0,4", "--budget", "1h30m", "--jobs", 2, "--precision", "bfloat16", "--data-dir", project]
    answer = tiedlm("reproduce", RE, *options, "--project", project)
    assert answer.status == 0, answer.error
    [(jobs, means)] = launched
    assert means == {"max_parallel": 2, "budget_seconds": 5400}
    names = [f"{RE}-seed-0", f"{RE}-seed-0-second", f"{RE}-seed-4", f"{RE}-seed-4-second"]
    assert [job.run_dir.name for job in jobs] == names
    assert [job.start_from for job in jobs] == [None, jobs[0].run_dir, None, jobs[2].run_dir]
    assert {job.config.runtime.precision for job in jobs} == {"bfloat16"}
    for job in jobs:
        places = ["--results", str(project / "results"), "--device", "cpu", "--data-dir", str(project)]
        assert job.after == ("publish", str(job.run_dir), *places)
    assert "0 trainings are finished, 4 are not" in answer.output
    assert f" {RE} " in answer.output.splitlines()[-1]  # the requested rows


def test_a_run_that_exists_keeps_its_runtime_and_must_be_of_the_recipe(tiedlm, project, launched, monkeypatch):
    monkeypatch.setattr(native_device, "matmul_slowdown", lambda dtype: 9.8)
    config = recipe_config()
    config = replace(config, runtime=replace(config.runtime, device="meta", precision="bfloat16"))
    make_run(project / "runs" / f"{RE}-seed-0", config=to_json(config))
    answer = tiedlm("reproduce", RE, "--seeds", "0", "--precision", "float32", "--project", project)
    assert (answer.status, answer.error) == (0, "")
    [(jobs, _)] = launched
    assert [(job.config.runtime.device, job.config.runtime.precision) for job in jobs] == [
        ("meta", "bfloat16"),
        ("cpu", "float32"),
    ]
    assert jobs[0].after[-2:] == ("--device", "meta")
    assert "1 trainings are finished, 1 are not" in answer.output
    changed = to_json(recipe_config(seed=1))
    changed["training"]["epochs"] = 3
    make_run(project / "runs" / f"{RE}-seed-1", config=changed)
    answer = tiedlm("reproduce", RE, "--seeds", "1", "--project", project)
    assert answer.status == 2
    assert "training.epochs" in answer.error
    assert len(launched) == 1


def test_a_first_training_of_another_machine_is_repeated_and_not_published(tiedlm, project, launched, monkeypatch):
    instead_of_measuring(monkeypatch)
    other = make_run(project / "elsewhere", weights=b"other", config=to_json(recipe_config()))
    target = publish(other.path, project / "results")
    answer = tiedlm("reproduce", RE, "--seeds", "0", "--project", project)
    assert answer.status == 0, answer.error
    assert f"the weights of {target}, which are not on this machine" in answer.error
    [([first, second], _)] = launched
    assert (first.start_from, first.after) == (None, ())
    assert second.after[0] == "publish"


def test_where_nothing_is_missing_the_rows_are_printed(tiedlm, listed, launched):
    answer = tiedlm("reproduce", "ptb-small-vd", "--project", listed)
    assert answer.status == 0
    assert answer.output.startswith("All requested results exist.")
    assert "87.00 ± 0.00" in answer.output
    assert launched == []


@pytest.mark.parametrize(
    ("state", "status", "message"), [(JobState.FAILED, 2, "2 of 2"), (None, INTERRUPTED, "interrupted")]
)
def test_a_failure_and_an_interrupt_end_with_their_status(tiedlm, project, monkeypatch, state, status, message):
    def launch(jobs, **_):
        if state is None:
            raise KeyboardInterrupt
        return [JobResult(job=job, state=state, reason="a full disk") for job in jobs]

    monkeypatch.setattr(launcher, "launch", launch)
    answer = tiedlm("reproduce", RE, "--seeds", "0", "--project", project)
    assert answer.status == status
    assert message in answer.error


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (Figure1Status(finished=55, missing=0, out_of_time=False), "All requested results exist."),
        (Figure1Status(finished=3, missing=52, out_of_time=True), "3 runs are finished, 52 are not (the time is up)."),
        (Figure1Status(finished=3, missing=52, out_of_time=False), "(other processes are training them)"),
    ],
)
def test_runs_of_figure_1_are_made_in_one_thread(tiedlm, project, monkeypatch, status, message):
    calls = []

    def run_missing(runs, folder, data_dir, display, *, budget_seconds):
        calls.append((list(runs), folder, data_dir, budget_seconds, torch.get_num_threads()))
        return status

    monkeypatch.setattr(theory, "run_missing", run_missing)
    threads = torch.get_num_threads()
    options = ("--seeds", "0,7", "--budget", "90s", "--data-dir", project / "data")
    for line in (options, ()):
        answer = tiedlm("reproduce", "figure1", *line, "--project", project)
        assert (answer.status, answer.error) == (0, "")
        assert message in answer.output
    monkeypatch.setattr(theory, "run_missing", Mock(side_effect=KeyboardInterrupt))
    answer = tiedlm("reproduce", "figure1", "--project", project)
    assert (answer.status, "Run the same command again to resume." in answer.error) == (INTERRUPTED, True)
    folder = project / "results" / "figure1"
    assert calls == [([0, 7], folder, project / "data", 90, 1), ([0, 1, 2, 3, 4], folder, None, None, 1)]
    assert torch.get_num_threads() == threads


def test_a_run_is_published_and_replaced_on_request(tiedlm, tmp_path, monkeypatch):
    measured = instead_of_measuring(monkeypatch)
    monkeypatch.chdir(tmp_path)
    target = Path("results", RECIPE, "seed-0")
    answer = tiedlm("publish", make_run(tmp_path / "run").path, "--data-dir", tmp_path / "data")
    assert (answer.status, answer.output) == (0, f"{target}\n")
    assert measured == [("run", tmp_path / "data")]
    new = make_run(tmp_path / "new", weights=b"new", scored=scores(80.0, 79.0))
    assert tiedlm("publish", new.path, "--results", "results").status == 2
    assert tiedlm("publish", new.path, "--replace").status == 0
    assert read_result(target).scores["test"].perplexity == 79.0
