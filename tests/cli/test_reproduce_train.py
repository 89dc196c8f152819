"""Training what the paper's rows lack: which jobs are launched, what is published, and what is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.finished_run import make_run, recipe_config
from support.published_results import instead_of_measuring
from support.run_folders import write_run
from tiedlm.cli import reproduce_train
from tiedlm.cli.main import INTERRUPTED, main
from tiedlm.config import to_json
from tiedlm.native import device as native_device
from tiedlm.paper.publish import publish
from tiedlm.paper.results import read_result
from tiedlm.runs.config import Precision, RunConfig
from tiedlm.training.jobs import JobResult, JobState

RE = "ptb-small-re"
Launched = list[tuple[list[Any], dict[str, Any]]]


def with_precision(config: RunConfig, precision: Precision) -> RunConfig:
    return replace(config, runtime=replace(config.runtime, precision=precision))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIEDLM_RUNS_DIR", str(tmp_path / "runs"))
    (tmp_path / "results").mkdir()
    return tmp_path


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Launched:
    """Records what would be launched; of jobs whose run folder has scores, the command that follows is run."""
    calls: Launched = []

    def launch(jobs: list[Any], **options: Any) -> list[JobResult]:
        calls.append((jobs, options))
        states = []
        for job in jobs:
            failed = job.is_finished() and job.after and main(job.after) != 0
            states.append(JobState.FAILED if failed else JobState.FINISHED if job.is_finished() else JobState.STOPPED)
        return [JobResult(job=job, state=state, reason="as it is") for job, state in zip(jobs, states, strict=True)]

    monkeypatch.setattr(reproduce_train, "launch", launch)
    return calls


def test_what_is_missing_is_launched_with_its_means(
    tiedlm: Callable[..., Any], project: Path, launched: Launched
) -> None:
    options = ["--seeds", "0,4", "--budget", "9m", "--jobs", 2, "--precision", "bfloat16", "--project", project]
    answer = tiedlm("reproduce", RE, *options)
    assert answer.status == 0, answer.error
    [(jobs, means)] = launched
    assert means == {"max_parallel": 2, "budget_seconds": 540}
    names = [f"{RE}-seed-0", f"{RE}-seed-0-second", f"{RE}-seed-4", f"{RE}-seed-4-second"]
    assert [job.run_dir.name for job in jobs] == names
    assert [job.start_from for job in jobs] == [None, jobs[0].run_dir, None, jobs[2].run_dir]
    assert {job.config.runtime.precision for job in jobs} == {"bfloat16"}
    assert "0 trainings are finished, 4 are not" in answer.output


def test_trainings_are_begun_and_measured_on_the_device_that_is_asked_for(
    tiedlm: Callable[..., Any], project: Path, launched: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reproduce_train, "machine", lambda runtime: f"a {runtime['device']}")
    devices = []
    monkeypatch.setattr(
        "tiedlm.paper.publish.publish", lambda run, results, **options: devices.append(options["device"])
    )
    config = recipe_config()
    config = replace(config, runtime=replace(config.runtime, device="meta"))
    make_run(project / "runs" / f"{RE}-seed-0", config=to_json(config))
    answer = tiedlm("reproduce", RE, "--seeds", "0", "--device", "cuda", "--project", project)
    assert answer.status == 0, answer.error
    [(jobs, _)] = launched
    assert [job.config.runtime.device for job in jobs] == ["meta", "cuda"]
    assert devices == ["meta"]


@pytest.mark.parametrize(("precision", "told"), [("bfloat16", True), ("float32", False)])
def test_a_slow_precision_is_told_where_trainings_begin(
    tiedlm: Callable[..., Any],
    project: Path,
    launched: Launched,
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
    told: bool,
) -> None:
    monkeypatch.setattr(native_device, "matmul_slowdown", lambda dtype: 9.8)
    answer = tiedlm("reproduce", RE, "--seeds", "0", "--precision", precision, "--project", project)
    assert answer.status == 0
    assert ("about 10 times as long as float32" in answer.error) == told
    assert ("--precision float32 is the faster choice" in answer.error) == told
    assert launched


def test_what_is_begun_has_no_choice_any_more(
    tiedlm: Callable[..., Any], project: Path, launched: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_device, "matmul_slowdown", lambda dtype: 9.8)
    for name in ("seed-0", "seed-0-second"):
        config = to_json(with_precision(recipe_config(), "bfloat16"))
        write_run(project / "runs" / f"{RE}-{name}", config)
    answer = tiedlm("reproduce", RE, "--seeds", "0", "--project", project)
    assert (answer.status, answer.error) == (0, "")
    [(jobs, _)] = launched
    assert {job.config.runtime.precision for job in jobs} == {"bfloat16"}


def test_what_is_finished_is_published_and_what_is_begun_keeps_its_config(
    tiedlm: Callable[..., Any], project: Path, launched: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = instead_of_measuring(monkeypatch)
    make_run(project / "runs" / f"{RE}-seed-0", config=to_json(recipe_config()))
    options = ["--seeds", "0", "--precision", "bfloat16", "--data-dir", project, "--project", project]
    answer = tiedlm("reproduce", RE, *options)
    assert answer.status == 0, answer.error
    assert (project / "results" / RE / "seed-0" / "analysis.json").exists()
    assert measured == [(f"{RE}-seed-0", project)]
    row = next(line for line in answer.output.splitlines() if line.startswith("VD-LSTM+RE, small"))
    assert "85.10" in row
    [(jobs, _)] = launched
    assert [job.config.runtime.precision for job in jobs] == ["float32", "bfloat16"]
    assert "1 trainings are finished, 1 are not" in answer.output


def test_a_second_training_replaces_its_first_without_being_told(
    tiedlm: Callable[..., Any], project: Path, launched: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead_of_measuring(monkeypatch)
    first = make_run(project / "runs" / f"{RE}-seed-0", weights=b"1", config=to_json(recipe_config()))
    target = publish(first.path, project / "results")
    make_run(project / "runs" / f"{RE}-seed-0-second", weights=b"2", parent=first, config=to_json(recipe_config()))
    answer = tiedlm("reproduce", RE, "--seeds", "0", "--project", project)
    assert (answer.status, answer.error) == (0, "")
    assert read_result(target).trainings == 2


def test_a_first_training_of_another_machine_is_told_repeated_and_not_replaced(
    tiedlm: Callable[..., Any], project: Path, launched: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead_of_measuring(monkeypatch)
    theirs = make_run(project / "elsewhere", weights=b"theirs", config=to_json(recipe_config()))
    target = publish(theirs.path, project / "results")
    answer = tiedlm("reproduce", RE, "--seeds", "0,4", "--project", project)
    assert answer.status == 0
    assert f"{target} is of a run whose weights are not here" in answer.error
    runs = project / "runs"
    first = make_run(runs / f"{RE}-seed-0", weights=b"1", config=to_json(recipe_config()))
    assert tiedlm("reproduce", RE, "--seeds", "0,4", "--project", project).status == 0
    make_run(runs / f"{RE}-seed-0-second", weights=b"2", parent=first, config=to_json(recipe_config()))
    make_run(runs / f"{RE}-seed-4", weights=b"4", config=to_json(recipe_config(seed=4)))
    answer = tiedlm("reproduce", RE, "--seeds", "0,4", "--project", project)
    assert answer.status == 2
    assert "1 of 3 trainings are not finished" in answer.error
    assert f"{RE}-seed-0-second failed" in answer.error
    assert read_result(target).trainings == 1
    assert (project / "results" / RE / "seed-4").is_dir()


def test_a_begun_run_of_another_config_is_refused_before_anything_is_trained(
    tiedlm: Callable[..., Any], project: Path, launched: Launched
) -> None:
    config = to_json(recipe_config())
    config["training"]["epochs"] = 3
    make_run(project / "runs" / f"{RE}-seed-0", config=config)
    answer = tiedlm("reproduce", RE, "--seeds", "0", "--project", project)
    assert answer.status == 2
    assert "training.epochs" in answer.error
    assert launched == []


def test_nothing_is_launched_where_nothing_is_missing(
    tiedlm: Callable[..., Any], project: Path, launched: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reproduce_train, "missing", lambda *_, **__: [])
    answer = tiedlm("reproduce", RE, "--project", project)
    assert answer.status == 0
    assert "Nothing is missing" in answer.output
    assert launched == []


@pytest.mark.parametrize(
    ("state", "status", "told"), [(JobState.FAILED, 2, "2 of 2"), (None, INTERRUPTED, "interrupted")]
)
def test_a_failure_and_an_interrupt_are_told(
    tiedlm: Callable[..., Any],
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    state: JobState | None,
    status: int,
    told: str,
) -> None:
    def launch(jobs: list[Any], **_: Any) -> list[JobResult]:
        if state is None:
            raise KeyboardInterrupt
        return [JobResult(job=job, state=state, reason="a full disk") for job in jobs]

    monkeypatch.setattr(reproduce_train, "launch", launch)
    answer = tiedlm("reproduce", RE, "--seeds", "0", "--project", project)
    assert answer.status == status
    assert told in answer.error
