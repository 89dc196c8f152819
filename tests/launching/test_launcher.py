"""Launches as a whole: with scripts in the place of trainings, and once with trainings that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.finished_run import make_run
from support.tiny_run import Silence
from tiedlm.checkpoint.folder import RunFolder
from tiedlm.config import to_json
from tiedlm.data.corpus import prepare
from tiedlm.errors import ArgumentError, RunError
from tiedlm.launching import launcher
from tiedlm.launching.job import State
from tiedlm.launching.launcher import launch
from tiedlm.training import loop

SAVES = """
import os, signal, sys, time
def stop(number, frame):
    open(sys.argv[1] + ".saved", "w").close()
    sys.exit(130)
if os.path.exists(sys.argv[1] + ".saved"):
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
open(sys.argv[1] + ".began", "w").close()
time.sleep(300)
"""
TWICE = """
import signal, sys, time
count = 0
def stop(number, frame):
    global count
    count += 1
    open(sys.argv[1] + ".asked", "w").close()
    if count == 2:
        open(sys.argv[1] + ".asked-again", "w").close()
        sys.exit(130)
signal.signal(signal.SIGTERM, stop)
open(sys.argv[1] + ".began", "w").close()
time.sleep(60)
"""
LAUNCHER = """
import json, sys
from dataclasses import replace
from pathlib import Path
from tiedlm.config import from_json
from tiedlm.launching import Job, launch
from tiedlm.runs.config import RunConfig
folder = Path(sys.argv[1])
config = from_json(RunConfig, json.loads((folder / "small.json").read_text()))
jobs = [
    Job(config=replace(config, seed=seed), run_dir=folder / f"seed-{seed}", config_file=folder / "small.json")
    for seed in (0, 1)
]
launch(jobs, slots=1)
"""


@pytest.fixture
def no_corpora(monkeypatch):
    monkeypatch.setattr(launcher, "prepare_corpora", lambda jobs, tell: None)


def when(paths: Sequence[Path], act) -> threading.Thread:
    """Do something as soon as the paths exist."""

    def wait() -> None:
        while not all(path.exists() for path in paths):
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_what_is_missing_is_trained_and_told(make_job, scripts, seen, no_corpora, tmp_path):
    scripts |= {"a": "", "b": "import sys; sys.exit('no room')"}
    outcomes = launch([make_job("a"), make_job("b")], display=seen)
    assert [(outcome.job.name, outcome.state) for outcome in outcomes] == [("a", State.FINISHED), ("b", State.FAILED)]
    assert (outcomes[1].reason, outcomes[1].log) == ("no room", tmp_path / ".logs" / "b.log")
    assert [row.outcome for row in seen.shown[-1]] == outcomes
    assert seen.closed


def test_each_job_is_told_of_once_as_soon_as_it_is_finished(make_job, scripts, seen, no_corpora, tmp_path):
    scripts |= {"a": "", "b": SAVES, "c": "import sys; sys.exit('no room')"}
    told: list[str] = []

    def on_finished(job) -> None:
        told.append(job.name)
        shown = [row.outcome for rows in seen.shown for row in rows if row.outcome.job == job]
        assert not any(outcome.state is State.FINISHED for outcome in shown)

    jobs = [make_job("a"), make_job("b"), make_job("c"), make_job("d", seed=1)]
    make_run(jobs[3].run_dir, config=to_json(jobs[3].config))
    launch(jobs, slots=3, budget_seconds=3.0, display=seen, on_finished=on_finished)
    assert sorted(told) == ["a", "d"]


def test_a_budget_stops_what_runs_and_the_next_launch_goes_on(make_job, scripts, seen, no_corpora, tmp_path):
    scripts |= {"a": SAVES, "b": SAVES}
    jobs = [make_job("a"), make_job("b")]
    began = time.monotonic()
    first = launch(jobs, slots=1, budget_seconds=1.0, display=seen)
    assert time.monotonic() - began >= 1.0
    assert [outcome.state for outcome in first] == [State.STOPPED, State.WAITING]
    assert first[1].reason == "the time is up"
    (tmp_path / "a.saved").touch()  # on a busy machine it may have been stopped before it began
    scripts["b"] = ""
    assert [outcome.state for outcome in launch(jobs, slots=1, display=seen)] == [State.FINISHED, State.FINISHED]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_passed_on_and_waits_for_them(make_job, scripts, seen, no_corpora, tmp_path, number):
    scripts |= {"a": SAVES, "b": SAVES}
    before = signal.getsignal(signal.SIGTERM)
    thread = when([tmp_path / "a.began", tmp_path / "b.began"], lambda: os.kill(os.getpid(), number))
    with pytest.raises(KeyboardInterrupt):
        launch([make_job("a"), make_job("b")], slots=2, display=seen)
    thread.join()
    assert [row.outcome.state for row in seen.shown[-1]] == [State.STOPPED, State.STOPPED]
    assert (tmp_path / "a.saved").exists()
    assert (tmp_path / "b.saved").exists()
    assert signal.getsignal(signal.SIGTERM) is before
    assert seen.closed


def test_a_second_interrupt_is_passed_on_too(make_job, scripts, seen, no_corpora, tmp_path):
    scripts["a"] = TWICE
    threads = [
        when([tmp_path / f"a.{news}"], lambda: os.kill(os.getpid(), signal.SIGTERM)) for news in ("began", "asked")
    ]
    with pytest.raises(KeyboardInterrupt):
        launch([make_job("a")], display=seen)
    for thread in threads:
        thread.join()
    assert (tmp_path / "a.asked-again").exists()


def test_bad_jobs_and_budgets_start_nothing(make_job, scripts, seen, tmp_path):
    scripts["a"] = SAVES
    for budget in (0, -1.0, float("nan")):
        with pytest.raises(ArgumentError, match="The budget is"):
            launch([make_job("a")], budget_seconds=budget, display=seen)
    (tmp_path / "b").write_text("in the way")
    with pytest.raises(RunError):
        launch([make_job("a"), make_job("b")], display=seen)
    assert not (tmp_path / "a.began").exists()


def test_a_run_that_is_finished_on_another_text_starts_nothing(make_job, scripts, seen, tmp_path):
    scripts |= {"b": SAVES}
    jobs = [make_job("a"), make_job("b", seed=1)]
    make_run(jobs[0].run_dir, config=to_json(jobs[0].config), corpus=prepare(jobs[0].config.corpus).provenance)
    (tmp_path / "valid.txt").write_text("the cat sees a tree\n")
    with pytest.raises(RunError, match=r"The valid text of .* has changed since"):
        launch(jobs, display=seen)
    assert not (tmp_path / "b.began").exists()
    assert seen.closed


def free(run: Path) -> bool:
    """Whether no process works on a run."""
    try:
        with RunFolder.open(run).lock():
            return True
    except RunError:
        return False


def test_a_killed_launcher_takes_its_processes_along_and_another_ends_as_single_trainings_do(make_job, tmp_path, seen):
    command = [sys.executable, "-c", LAUNCHER, str(tmp_path)]
    jobs = [make_job(f"seed-{seed}", seed=seed) for seed in (0, 1)]
    journal = jobs[0].run_dir / "journal.jsonl"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while not (journal.exists() and journal.stat().st_size):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    while not free(jobs[0].run_dir):
        time.sleep(0.01)
    assert not jobs[0].is_finished()
    assert not jobs[1].is_begun()
    outcomes = launch(jobs, slots=2, display=seen)
    assert [outcome.state for outcome in outcomes] == [State.FINISHED, State.FINISHED]
    for job in jobs:
        alone = loop.train(job.config, tmp_path / f"alone-{job.name}", display=Silence())
        for role in ("weights", "scores"):
            assert RunFolder.open(job.run_dir).read(role) == alone.read(role)
    events = [record["event"] for record in RunFolder.open(jobs[0].run_dir).journal.records()]
    assert events.count("resume") == 1
    assert [outcome.seconds for outcome in launch(jobs, display=seen)] == [0.0, 0.0]
