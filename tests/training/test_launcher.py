"""Launches: with scripts in the place of trainings, and once with trainings whose launcher is killed."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from support.runs import make_run
from tiedlm.config import to_json
from tiedlm.data.corpus import prepare
from tiedlm.errors import ArgumentError, RunError
from tiedlm.files import json_bytes
from tiedlm.runs.folder import RunFolder
from tiedlm.training import launcher, loop
from tiedlm.training.jobs import EpochSummary, JobResult, JobState
from tiedlm.training.launcher import (
    HEADINGS,
    MAX_ON_ONE_GPU,
    LineDisplay,
    TableDisplay,
    launch,
    parallel_jobs,
)
from tiedlm.training.processes import EXIT_VARIABLE

FINISHED, FAILED, STOPPED, WAITING, TRAINING = map(JobState, ("finished", "failed", "stopped", "waiting", "training"))
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
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
for name in (".began", ".asked", ".asked-again"):
    open(sys.argv[1] + name, "w").close()
    if name != ".asked-again":
        signal.sigwait([signal.SIGTERM])
sys.exit(130)
"""


@pytest.fixture
def interrupts() -> Iterator[Callable[..., None]]:
    """Sends this process a signal as soon as all the files exist."""
    threads = []

    def send(number: signal.Signals, *files: Path) -> None:
        def wait() -> None:
            while not all(file.exists() for file in files):
                time.sleep(0.01)
            os.kill(os.getpid(), number)

        threads.append(threading.Thread(target=wait))
        threads[-1].start()

    yield send
    for thread in threads:
        thread.join()


def states(results: list[JobResult]) -> list[JobState]:
    return [result.state for result in results]


def test_jobs_are_trained_in_order_in_so_many_places_and_a_failure_leaves_the_others_alone(
    make_job, scripts, recorder, tmp_path
):
    note = f"import sys, time; open({str(tmp_path / 'order')!r}, 'a').write(sys.argv[1][-1]); time.sleep(0.1)"
    scripts |= dict.fromkeys("bcd", note) | {"a": f"{note}; sys.exit('no room')"}
    results = launch([make_job(name) for name in "abcd"], max_parallel=2, display=recorder)
    assert states(results) == [FAILED, FINISHED, FINISHED, FINISHED]
    assert max(states(shown).count(TRAINING) for shown in recorder.shown) <= 2
    order = (tmp_path / "order").read_text()
    assert (set(order[:2]), set(order)) == (set("ab"), set("abcd"))
    assert (results[0].reason, results[0].log) == ("no room", tmp_path / ".logs" / "a.log")
    assert recorder.shown[-1] == results
    assert recorder.is_closed
    assert (tmp_path / ".logs" / "b.json").read_text().startswith("{")


def test_a_process_has_its_threads_a_pipe_and_a_session_of_its_own(make_job, scripts, recorder, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    monkeypatch.setattr(launcher, "cores", lambda: 6)
    names = ("OMP_NUM_THREADS", EXIT_VARIABLE)
    code = f"import os; print(*map(os.environ.get, {names}), os.getsid(0) == os.getpid(), flush=True)"
    scripts |= {"a": code, "b": code}
    for _ in range(2):
        launch([make_job("a"), make_job("b")], display=recorder)
    assert make_job("a").log.read_text() == "3 1 True\n" * 2  # the log of a second launch is appended


@pytest.mark.parametrize(
    ("code", "state", "reason"),
    [
        ("print('tiedlm: error: The loss is nan.\\nepoch 1'); sys.exit(2)", FAILED, "The loss is nan."),
        ("print('tiedlm: error: a'); print('tiedlm: error: b'); sys.exit(2)", FAILED, "b"),
        ("print('Traceback ...'); print('KeyError: 3'); print(); sys.exit(1)", FAILED, "KeyError: 3"),
        ("sys.exit(1)", FAILED, "ended with an error and printed nothing"),
        ("os.kill(os.getpid(), signal.SIGKILL)", FAILED, "killed by the system (SIGKILL), as when memory runs out"),
        ("os.kill(os.getpid(), signal.SIGBUS)", FAILED, "ended by signal 7 (Bus error)"),
        ("sys.exit(130)", STOPPED, "stopped by something else than the launcher"),
        ("os.kill(os.getpid(), signal.SIGTERM)", STOPPED, "stopped by something else than the launcher"),
    ],
)
def test_how_a_process_ended_is_one_line(make_job, scripts, recorder, code, state, reason):
    job = make_job("a")
    job.log.parent.mkdir()
    job.log.write_text("tiedlm: error: an old one\n")
    scripts["a"] = f"import os, signal, sys; {code}"
    (result,) = launch([job], display=recorder)
    assert result.state is state
    assert (result.reason or "").startswith(reason)
    assert result.seconds > 0


def test_a_log_that_cannot_be_written_is_an_error(make_job, scripts, recorder, tmp_path):
    (tmp_path / ".logs").write_text("in the way")
    with pytest.raises(RunError, match=r"a\.json could not be saved"):
        launch([make_job("a")], display=recorder)


def test_a_second_training_waits_for_its_first(make_job, scripts, recorder):
    scripts["one"] = "import sys, time; time.sleep(0.1); open(sys.argv[1] + '.done', 'w').close()"
    scripts["two"] = "import sys, os; sys.exit(not os.path.exists(sys.argv[1].replace('/two', '/one.done')))"
    results = launch([make_job("two", start_from="one"), make_job("one")], max_parallel=2, display=recorder)
    assert states(results) == [FINISHED, FINISHED]
    scripts["one"] = "import sys; sys.exit(2)"
    results = launch([make_job("two", start_from="one"), make_job("one")], display=recorder)
    assert states(results) == [WAITING, FAILED]
    assert "one, which it starts from, is not finished" in (results[0].reason or "")


def test_the_command_that_follows_runs_after_a_training_that_is_finished_now_or_was_before(make_job, scripts, recorder):
    scripts |= {"a": "print('trained')", "b": "import sys; sys.exit(2)"}
    after = ("recipes", "ptb-small-re", "--nonsense")  # refused, so that the log and the state show that it ran
    done = make_job("done", seed=1, after=("--version",))
    make_run(done.run_dir, config=to_json(done.config))
    jobs = [make_job("a", after=after), make_job("b", after=after), done, make_job("c", start_from="a")]
    scripts["c"] = ""
    results = launch(jobs, display=recorder)
    assert states(results) == [FAILED, FAILED, FINISHED, FINISHED]
    assert "trained" in jobs[0].log.read_text()
    assert "nonsense" in jobs[0].log.read_text()
    assert "nonsense" not in jobs[1].log.read_text()
    assert done.log.read_text().startswith("tiedlm ")


def test_a_budget_stops_what_runs_and_the_next_launch_resumes(make_job, scripts, recorder, tmp_path):
    scripts |= {"a": SAVES, "b": SAVES}
    jobs = [make_job("a"), make_job("b")]
    first = launch(jobs, max_parallel=1, budget_seconds=1.0, display=recorder)
    assert states(first) == [STOPPED, WAITING]
    assert [result.reason for result in first] == ["the time is up"] * 2
    (tmp_path / "a.saved").touch()  # on a busy machine it may have been stopped before it began
    scripts["b"] = ""
    assert states(launch(jobs, max_parallel=1, display=recorder)) == [FINISHED, FINISHED]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_passed_on_and_waits_for_all(make_job, scripts, recorder, interrupts, tmp_path, number):
    scripts |= {"a": SAVES, "b": SAVES}
    before = signal.getsignal(signal.SIGTERM)
    interrupts(number, tmp_path / "a.began", tmp_path / "b.began")
    with pytest.raises(KeyboardInterrupt):
        launch([make_job("a"), make_job("b")], max_parallel=2, display=recorder)
    assert states(recorder.shown[-1]) == [STOPPED, STOPPED]
    assert (tmp_path / "a.saved").exists()
    assert (tmp_path / "b.saved").exists()
    assert signal.getsignal(signal.SIGTERM) is before
    assert recorder.is_closed


def test_a_second_interrupt_is_passed_on_too(make_job, scripts, recorder, interrupts, tmp_path):
    scripts["a"] = TWICE
    interrupts(signal.SIGTERM, tmp_path / "a.began")
    interrupts(signal.SIGTERM, tmp_path / "a.asked")
    with pytest.raises(KeyboardInterrupt):
        launch([make_job("a")], display=recorder)
    assert (tmp_path / "a.asked-again").exists()


def test_a_process_that_hangs_when_asked_to_end_is_killed(make_job, scripts, recorder, interrupts, tmp_path):
    scripts["a"] = TWICE
    interrupts(signal.SIGTERM, tmp_path / "a.began")
    with pytest.raises(KeyboardInterrupt):
        launch([make_job("a")], display=recorder, patience_seconds=0.2)
    (result,) = recorder.shown[-1]
    assert result.state is STOPPED
    assert "was killed" in (result.reason or "")


def test_an_error_in_the_launcher_ends_the_processes(make_job, scripts, recorder, monkeypatch, tmp_path):
    scripts["a"] = SAVES

    def show(results: object) -> None:
        if (tmp_path / "a.began").exists():
            raise ZeroDivisionError

    monkeypatch.setattr(recorder, "show", show)
    with pytest.raises(ZeroDivisionError):
        launch([make_job("a")], display=recorder)
    assert (tmp_path / "a.saved").exists()
    assert recorder.is_closed


def test_nothing_starts_where_one_job_is_refused(make_job, recorder, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine").write_text("in the way")
    with pytest.raises(RunError):
        launch([make_job("a"), make_job("b")], display=recorder)
    finished = make_job("c", seed=1)
    make_run(finished.run_dir, config=to_json(finished.config), corpus=prepare(finished.config.corpus).provenance)
    (tmp_path / "valid.txt").write_text("the cat sees a tree\n")
    with pytest.raises(RunError, match=r"The valid text of .* has changed since"):
        launch([make_job("a"), finished], display=recorder)
    with pytest.raises(ArgumentError, match="above 0"):
        launch([make_job("a")], display=recorder, budget_seconds=0.0)
    assert not (tmp_path / ".logs").exists()
    assert recorder.is_closed


def test_one_job_a_core_a_few_on_a_gpu_and_no_more_than_there_are(make_job, monkeypatch):
    def jobs(count: int, **runtime):
        job = make_job("run")
        runtime = {"threads": None, **runtime}
        return [replace(job, config=replace(job.config, runtime=replace(job.config.runtime, **runtime)))] * count

    monkeypatch.setattr(launcher, "cores", lambda: 8)
    assert parallel_jobs(jobs(20)) == 8
    assert parallel_jobs(jobs(3)) == 3
    assert parallel_jobs(jobs(20, threads=3)) == 2
    assert parallel_jobs(jobs(20, threads=16)) == 1
    assert parallel_jobs(jobs(20, device="cuda")) == MAX_ON_ONE_GPU
    assert parallel_jobs(jobs(20, device="cuda:1", threads=4)) == 2
    assert parallel_jobs(jobs(20, device="cuda"), 12) == 12
    assert parallel_jobs(jobs(2), 12) == 2


SUMMARY = EpochSummary(
    epoch=2,
    train_perplexity=120.126,
    valid_perplexity=130.0,
    best_valid_perplexity=129.5,
    words_per_second=5012.4,
    seconds=60.0,
    time_unix=0.0,
)


def test_a_line_for_each_piece_of_news(make_job, capsys):
    one, other = make_job("one"), make_job("other")
    display = LineDisplay()

    def printed(*results: JobResult) -> list[str]:
        display.show(results)
        return capsys.readouterr().out.splitlines()

    assert printed(JobResult(job=one, state=WAITING), JobResult(job=other, state=WAITING)) == []
    done = JobResult(job=other, state=FINISHED, summary=SUMMARY)
    runs = JobResult(job=one, state=TRAINING, log=Path("a.log"))
    assert printed(runs, done) == ["one    training", "other  finished  valid perplexity 129.50"]
    news = "epoch 2/3  train CE perplexity 120.13  valid perplexity 130.00  5,012 words/s  left 1m01s"
    assert printed(replace(runs, summary=SUMMARY, seconds_left=61.0), done) == [f"one    training  {news}"]
    assert printed(replace(runs, summary=SUMMARY, seconds_left=30.0), done) == []
    third = replace(runs, summary=replace(SUMMARY, epoch=3))
    assert printed(third, done)[0].startswith("one    training  epoch 3/3  ")
    stopped = replace(third, state=STOPPED, reason="the time is up")
    assert printed(stopped, done)[0].startswith("one    stopped (the time is up)  epoch 3/3  ")
    failed = replace(third, state=FAILED, reason="The disk is full.")
    assert printed(failed, done) == ["one    failed: The disk is full. (log: a.log)"]


def test_a_pipe_gets_plain_lines(make_job, scripts, capsys):
    scripts["a"] = ""
    launch([make_job("a")])
    assert capsys.readouterr().out.splitlines()[-1] == "a  finished"


def test_a_terminal_gets_a_table_and_why_a_job_failed(make_job):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, height=40, color_system=None)

    def last_table() -> list[list[str]]:
        lines = [line.split("\x1b")[0] for line in screen.getvalue().splitlines()]
        first = max(number for number, line in enumerate(lines) if "words/s" in line)
        return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines[first:] if line.strip()]

    done = JobResult(job=make_job("text-small-real-seed-0"), state=FINISHED, summary=SUMMARY)
    runs = JobResult(job=make_job("runs"), state=TRAINING, summary=SUMMARY, seconds_left=61.0, log=Path("a.log"))
    display = TableDisplay(console)
    display.message("[red]as it is")
    display.show([done, runs, JobResult(job=make_job("new"), state=WAITING)])
    headings, _, first, second, third = last_table()[:5]
    assert headings == list(HEADINGS)
    assert first == ["runs", "training", "2/3", "120.13", "130.00", "5,012", "1m01s"]  # what is trained comes first
    assert second == ["new", "waiting", "0/3"]
    assert third == ["text-small-real-seed-0", "finished", "2/3", "120.13", "129.50", "5,012"]
    for _ in range(20):  # no more often than can be seen
        display.show([done, replace(runs, state=FAILED, reason="The disk is full.")])
    assert screen.getvalue().count("words/s") <= 2
    display.close()
    assert [line[0] for line in last_table()[2:4]] == ["text-small-real-seed-0", "runs"]  # at the end, in their order
    assert "runs failed: The disk is full. (log: a.log)" in screen.getvalue()
    assert "[red]as it is" in screen.getvalue()


def test_a_killed_launcher_takes_its_processes_along_and_another_goes_on(make_job, tmp_path, recorder, monkeypatch):
    monkeypatch.setenv("TIEDLM_RUNS_DIR", str(tmp_path))
    jobs = [make_job(f"small-seed-{seed}", seed=seed) for seed in (0, 1)]
    (tmp_path / "small.json").write_bytes(json_bytes(to_json(jobs[0].config)))
    journal = jobs[0].run_dir / "journal.jsonl"
    command = [sys.executable, "-m", "tiedlm", "train", tmp_path / "small.json", "--seeds", "0,1", "--jobs", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while not (journal.exists() and journal.stat().st_size):
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    while RunFolder.open(jobs[0].run_dir).holder() is not None:
        time.sleep(0.01)
    assert not jobs[0].is_finished()
    assert not jobs[1].is_begun()
    assert states(launch(jobs, max_parallel=2, display=recorder)) == [FINISHED, FINISHED]
    for job in jobs:
        alone = loop.train(job.config, tmp_path / f"alone-{job.name}")
        launched = RunFolder.open(job.run_dir)
        assert [launched.read(name) for name in ("config", "weights")] == [
            alone.read(name) for name in ("config", "weights")
        ]
        assert launched.scores() == alone.scores()
    events = [record["event"] for record in RunFolder.open(jobs[0].run_dir).journal()]
    assert events.count("resume") == 1
    assert [result.seconds for result in launch(jobs, display=recorder)] == [0.0, 0.0]
