"""Jobs as processes: `tiedlm train ...` in a session of its own each, as many at a time as the machine holds.

A launcher keeps nothing on disk but logs and the configs that trainings begin from (`.logs/` beside the run folders).
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, final

from tiedlm.config import to_json
from tiedlm.errors import ArgumentError, RunError, printable
from tiedlm.files import disk_errors_as_run_errors, write_json
from tiedlm.training.display import duration
from tiedlm.training.jobs import EpochSummary, Job, JobResult, JobState, check_jobs, prepare_corpora
from tiedlm.training.processes import EXIT_VARIABLE, interruptible

MAX_ON_ONE_GPU = 4
"""Trainings at once on a GPU: a small model leaves most of it idle. Large ones may want fewer (`max_parallel`)."""
POLL_SECONDS = 0.1
DRAW_SECONDS = 0.5
INTERRUPTED = {128 + signal.SIGINT, -signal.SIGINT, -signal.SIGTERM}
"""Exit statuses of a process that was asked to end: `tiedlm train` after saving, and one that had nothing to save."""
ERROR_PREFIX = "tiedlm: error: "


class Display(Protocol):
    """Where a launch reports to: lines of text, and several times a second where all jobs are, in their order."""

    def message(self, text: str) -> None: ...
    def show(self, results: Sequence[JobResult]) -> None: ...
    def close(self) -> None: ...


def launch(
    jobs: Sequence[Job],
    *,
    max_parallel: int | None = None,
    budget_seconds: float | None = None,
    display: Display | None = None,
    patience_seconds: float = 600.0,
) -> list[JobResult]:
    """Train the jobs, several at once, each by a process of its own: `tiedlm train ...`, as a user would type it.

    An interrupted run is resumed, a finished one is left alone (but for `Job.after`). A job that fails leaves the
    others alone. An interrupt (control-C) or a request to end (SIGTERM) is passed on, and so is a second one, upon
    which the processes end at once; if the launcher is killed, they save and end on their own.

    Args:
        jobs: what to train, in the order of starting; a run to start from, where it is a job, is waited for.
        max_parallel: how many at once; None fills the cores, or a GPU.
        budget_seconds: when to ask what runs to save and end, from now; each then ends after the window in progress, of
            training or of scoring. None: no limit.
        display: where to report to; None draws a table on a terminal, else prints lines.
        patience_seconds: how long a process that was asked to end may take before it is killed as hung.

    Returns:
        What became of each job, in the order of the jobs.

    Raises:
        TiedlmError: jobs that cannot be trained, a corpus that is missing or is no longer the one of an existing run;
            nothing has been started then.
        KeyboardInterrupt: after an interrupt, once all processes have ended.
    """
    if budget_seconds is not None and not budget_seconds > 0:
        raise ArgumentError(f"The budget is {budget_seconds} seconds, but must be above 0.")
    deadline = time.monotonic() + (math.inf if budget_seconds is None else budget_seconds)
    check_jobs(jobs)
    places = parallel_jobs([job for job in jobs if job.after or not job.is_finished()], max_parallel)
    display = display or (TableDisplay() if sys.stdout.isatty() else LineDisplay())
    try:
        prepare_corpora(jobs, display.message)
        with interruptible() as interrupt, _Pool(jobs, places, patience_seconds) as pool:
            while not pool.is_over:
                if interrupt.requested:
                    pool.stop("interrupted")
                elif time.monotonic() >= deadline:
                    pool.stop("the time is up")
                else:
                    pool.start()
                time.sleep(POLL_SECONDS)
                pool.collect()
                display.show(pool.results())
            display.show(pool.results())
    finally:
        display.close()
    if interrupt.requested:
        raise KeyboardInterrupt
    return pool.results()


def parallel_jobs(jobs: Sequence[Job], max_parallel: int | None = None) -> int:
    """Return how many of the jobs to train at once: on a CPU as many as cores, over the most threads of a job."""
    if max_parallel is not None:
        if max_parallel < 1:
            raise ArgumentError(f"{max_parallel} trainings at once were requested, but at least 1 must run.")
        return min(max_parallel, len(jobs))
    threads = max((job.config.runtime.threads or 1 for job in jobs), default=1)
    places = max(1, cores() // threads)
    if any(job.config.runtime.device != "cpu" for job in jobs):
        places = min(places, MAX_ON_ONE_GPU)
    return min(places, len(jobs))


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@final
class _Process:
    """A job's process: its training, and after that the job's command that follows, or that alone (`is_trained`)."""

    def __init__(self, job: Job, threads: int, *, is_trained: bool = False) -> None:
        self.job, self.is_trained = job, is_trained
        self.start, self.start_unix = time.monotonic(), time.time()
        self._environment = os.environ | {"OMP_NUM_THREADS": str(threads), EXIT_VARIABLE: "1"}
        self._after = [[sys.executable, "-m", "tiedlm", *job.after]] if job.after else []
        self._stopped_at: float | None = None
        self._was_killed = False
        if not is_trained and not job.is_begun():
            with disk_errors_as_run_errors(job.config_file):
                write_json(job.config_file, to_json(job.config))
        self._run(self._after.pop() if is_trained else job.command())

    def _run(self, command: list[str]) -> None:
        with disk_errors_as_run_errors(self.job.log):
            self.job.log.parent.mkdir(parents=True, exist_ok=True)
            with self.job.log.open("ab") as log:
                self._log_start = log.tell()
                # a log and not a pipe, so that a launcher's death does not break the last lines it has to say; a
                # session of its own, so that an interrupt typed at the terminal comes from the launcher alone
                self._popen = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    start_new_session=True,
                )

    def stop(self) -> None:
        """Ask the process to save and end; asked again, it ends at once and resumes from its last save."""
        self._popen.terminate()
        self._stopped_at = self._stopped_at or time.monotonic()

    def poll(self, patience_seconds: float) -> JobResult:
        """Return where the job is; the process is killed where it was asked to end so long ago that it must hang."""
        if self._stopped_at is not None and time.monotonic() - self._stopped_at > patience_seconds:
            self._popen.kill()
            self._was_killed = True
        status = self._popen.poll()
        state, reason = JobState.TRAINING, None
        if status is not None:
            assert self._popen.stdin is not None
            self._popen.stdin.close()
            self.is_trained |= status == 0
            if status == 0 and self._after and self._stopped_at is None:
                self._run(self._after.pop())
            else:
                state, reason = self._end(status)
        seconds = time.monotonic() - self.start
        return JobResult(job=self.job, state=state, seconds=seconds, reason=reason, log=self.job.log)

    def _end(self, status: int) -> tuple[JobState, str | None]:
        if status == 0:
            return (JobState.STOPPED if self._after else JobState.FINISHED), None
        if self._was_killed:
            return JobState.STOPPED, "did not end when asked to, and was killed; it resumes from its last save"
        if status in INTERRUPTED:
            return JobState.STOPPED, None if self._stopped_at else "stopped by something else than the launcher"
        if status == -signal.SIGKILL:
            return JobState.FAILED, "killed by the system (SIGKILL), as when memory runs out: train fewer at once"
        if status < 0:
            return JobState.FAILED, f"ended by signal {-status} ({signal.strsignal(-status)})"
        with disk_errors_as_run_errors(self.job.log), self.job.log.open("rb") as log:
            log.seek(self._log_start)
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        errors = [line.removeprefix(ERROR_PREFIX) for line in lines if line.startswith(ERROR_PREFIX)]
        return JobState.FAILED, (errors or lines or ["ended with an error and printed nothing"])[-1]


@final
class _Pool:
    """Jobs in the order in which they are started; leaving it as a context ends every process that is left."""

    def __init__(self, jobs: Sequence[Job], places: int, patience_seconds: float) -> None:
        self._places, self._threads = places, max(1, cores() // max(1, places))
        self._patience_seconds = patience_seconds
        self._processes: dict[Path, _Process] = {}
        self._results = {job.run_dir: JobResult(job=job, state=JobState.WAITING) for job in jobs}
        self._trained = {job.run_dir for job in jobs if job.is_finished()}
        for job in jobs:
            if job.run_dir in self._trained and not job.after:
                self._results[job.run_dir] = JobResult(job=job, state=JobState.FINISHED)
        self._saved: dict[Path, int] = {}
        """Run folder → when it was saved that its summary is of."""
        self._summaries: dict[Path, EpochSummary] = {}
        self._stop_reason: str | None = None

    def __enter__(self) -> _Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self._processes.values():
            process.stop()
        while self._processes:
            self.collect()
            time.sleep(POLL_SECONDS)

    @property
    def is_over(self) -> bool:
        return not self._processes and (self._stop_reason is not None or not self._ready())

    def start(self) -> None:
        for job in self._ready()[: self._places - len(self._processes)]:
            self._processes[job.run_dir] = _Process(job, self._threads, is_trained=job.run_dir in self._trained)
            self._results[job.run_dir] = JobResult(job=job, state=JobState.TRAINING, log=job.log)

    def stop(self, reason: str) -> None:
        """Ask every process to save and end, once, and start no more."""
        if self._stop_reason is None:
            self._stop_reason = reason
            for process in self._processes.values():
                process.stop()

    def collect(self) -> None:
        for run_dir, process in list(self._processes.items()):
            result = process.poll(self._patience_seconds)
            if process.is_trained:
                self._trained.add(run_dir)
            if result.state is not JobState.TRAINING:
                del self._processes[run_dir]
            if result.state is JobState.STOPPED and result.reason is None:
                result = replace(result, reason=self._stop_reason)
            self._results[run_dir] = result

    def results(self) -> list[JobResult]:
        return [self._with_summary(result) for result in self._results.values()]

    def _ready(self) -> list[Job]:
        waiting = [result.job for result in self._results.values() if result.state is JobState.WAITING]
        return [job for job in waiting if not self._lacks_its_start(job)]

    def _lacks_its_start(self, job: Job) -> bool:
        """Whether the run to start from is another job's that is not over, or was not trained."""
        start = None if job.start_from is None else os.path.abspath(job.start_from)
        first = next((result for path, result in self._results.items() if os.path.abspath(path) == start), None)
        if first is None:
            return False
        is_over = first.state not in (JobState.WAITING, JobState.TRAINING)
        return not is_over or not (job.is_begun() or first.job.run_dir in self._trained)

    def _with_summary(self, result: JobResult) -> JobResult:
        run_dir = result.job.run_dir
        if result.state is JobState.WAITING:
            missing = f"{result.job.start_from}, which it starts from, is not finished"
            result = replace(result, reason=missing if self._lacks_its_start(result.job) else self._stop_reason)
        try:  # read again only when the run was saved since
            saved = (run_dir / "run.json").stat().st_mtime_ns
            if saved != self._saved.get(run_dir):
                summary = EpochSummary.of_run(run_dir)
                self._saved[run_dir] = saved
                if summary is not None:
                    self._summaries[run_dir] = summary
        except (OSError, RunError, KeyError):
            pass  # not made yet, or damaged or of another version, which its own process says
        summary, process, left = self._summaries.get(run_dir), self._processes.get(run_dir), None
        if summary is not None and process is not None:
            left = summary.seconds_left(result.job.config.training.epochs, process.start_unix, time.time())
        return replace(result, summary=summary, seconds_left=left)


@final
class LineDisplay:
    """Prints a line for each job that changes its state or ends an epoch."""

    def __init__(self) -> None:
        self._shown: dict[Path, tuple[JobState, int]] = {}

    def message(self, text: str) -> None:
        print(printable(text, keep="\n"), flush=True)

    def show(self, results: Sequence[JobResult]) -> None:
        width = max((len(result.job.name) for result in results), default=0)
        for result in results:
            news = (result.state, result.summary.epoch if result.summary else 0)
            if self._shown.get(result.job.run_dir, (JobState.WAITING, news[1])) != news:
                self.message(f"{result.job.name:<{width}}  {_line(result)}")
            self._shown[result.job.run_dir] = news

    def close(self) -> None:
        pass


def _line(result: JobResult) -> str:
    summary = result.summary
    if result.state is JobState.FAILED:
        return f"failed: {result.reason} (log: {result.log})"
    if result.state is JobState.FINISHED:
        return "finished" + ("" if summary is None else f"  valid perplexity {summary.best_valid_perplexity:.2f}")
    line = result.state + ("" if result.reason is None else f" ({result.reason})")
    if summary is not None:
        line += (
            f"  epoch {summary.epoch}/{result.job.config.training.epochs}  train CE perplexity "
            f"{summary.train_perplexity:.2f}  valid perplexity {summary.valid_perplexity:.2f}  "
            f"{summary.words_per_second:,.0f} words/s"
        )
    return line + ("" if result.seconds_left is None else f"  left {duration(result.seconds_left)}")


HEADINGS = ("run", "state", "epoch", "train CE", "valid", "words/s", "left")
CAPTION = "Perplexities; train CE: of the cross-entropy alone, dropout on; valid: of the last epoch, then the best."
ORDER = (JobState.TRAINING, JobState.FAILED, JobState.STOPPED, JobState.WAITING, JobState.FINISHED)
"""What is trained comes first: a table that is longer than the terminal is cut at its end."""


@final
class TableDisplay:
    """Draws a table with a row for each job, twice a second on rich's console, and at the end why jobs have failed."""

    def __init__(self, console: Any = None) -> None:
        from rich.live import Live  # here, so that a pipe does not wait for rich

        self._live = Live(console=console, auto_refresh=False)
        self._drawn_at = -DRAW_SECONDS
        self._results: Sequence[JobResult] = ()
        self._live.start()

    def message(self, text: str) -> None:
        self._live.console.print(printable(text, keep="\n"), markup=False, highlight=False)

    def show(self, results: Sequence[JobResult]) -> None:
        self._results = results
        if time.monotonic() - self._drawn_at >= DRAW_SECONDS:
            self._live.update(_table(sorted(results, key=lambda result: ORDER.index(result.state))), refresh=True)
            self._drawn_at = time.monotonic()

    def close(self) -> None:
        """Leave the table as it is now, in the order of the jobs, and say why what failed did."""
        self._live.update(_table(self._results), refresh=True)
        self._live.stop()
        for result in self._results:
            if result.state is JobState.FAILED:
                self.message(f"{result.job.name} {_line(result)}")


def _table(results: Sequence[JobResult]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=CAPTION, caption_justify="left")
    for column, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if column < 2 else "right", no_wrap=column > 0, overflow="fold")
    for result in results:
        summary, epochs = result.summary, result.job.config.training.epochs
        cells = [result.job.name, result.state.value, f"0/{epochs}", "", "", "", ""]
        if summary is not None:
            is_finished = result.state is JobState.FINISHED
            valid = summary.best_valid_perplexity if is_finished else summary.valid_perplexity
            cells[2:6] = [
                f"{summary.epoch}/{epochs}",
                f"{summary.train_perplexity:.2f}",
                f"{valid:.2f}",
                f"{summary.words_per_second:,.0f}",
            ]
            cells[6] = "" if result.seconds_left is None else duration(result.seconds_left)
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table
