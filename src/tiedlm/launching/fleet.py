"""The jobs of a launch: which wait, which have a process, which are over."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import final

from tiedlm.launching.checks import place
from tiedlm.launching.child import Child
from tiedlm.launching.job import Job, Outcome, State
from tiedlm.launching.standing import Row, Watch

POLL_SECONDS = 0.1


@final
class Fleet:
    """Jobs in the order in which they are started; leaving it as a context ends every process that is left.

    Args:
        jobs: what is to be trained.
        slots: processes at one time.
        threads: of each process whose config names none.
        patience_seconds: how long a process that was asked to end may take to save before it counts as hung.
    """

    def __init__(self, jobs: Sequence[Job], *, slots: int, threads: int, patience_seconds: float) -> None:
        self._jobs, self._slots, self._threads, self._patience_seconds = jobs, slots, threads, patience_seconds
        self._children: dict[Path, Child] = {}
        self._over = {job.run_dir: Outcome(job=job, state=State.FINISHED) for job in jobs if job.is_finished()}
        self._watches = {job.run_dir: Watch(job.run_dir) for job in jobs}
        self._stop_reason: str | None = None

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for child in self._children.values():
            child.stop()
        while self._children:
            self.collect()
            time.sleep(POLL_SECONDS)

    @property
    def is_over(self) -> bool:
        """Whether nothing runs and nothing is left to be started."""
        return not self._children and (self._stop_reason is not None or not self._ready())

    def start(self) -> None:
        """Start jobs until no slot is free."""
        for job in self._ready()[: self._slots - len(self._children)]:
            self._children[job.run_dir] = Child(job, self._threads)

    def stop(self, reason: str) -> None:
        """Ask every process to save and end, once, and start none any more."""
        if self._stop_reason is None:
            self._stop_reason = reason
            for child in self._children.values():
                child.stop()

    def collect(self) -> None:
        """Take note of the processes that have ended, and end those that hang."""
        for run_dir, child in list(self._children.items()):
            child.kill_after(self._patience_seconds)
            if (outcome := child.outcome()) is not None:
                self._over[run_dir] = outcome
                del self._children[run_dir]

    def outcomes(self) -> list[Outcome]:
        """Return where each job is, in the order of the jobs."""
        return [self._outcome(job) for job in self._jobs]

    def rows(self) -> list[Row]:
        """Return what is to be shown of each job."""
        return [self._row(outcome) for outcome in self.outcomes()]

    def _ready(self) -> list[Job]:
        waiting = [job for job in self._jobs if job.run_dir not in {*self._over, *self._children}]
        return [job for job in waiting if not self._lacks_its_start(job)]

    def _lacks_its_start(self, job: Job) -> bool:
        """Whether the run to start from is another job, and not finished."""
        wanted = None if job.start_from is None or job.is_begun() else place(job.start_from)
        return any(place(other.run_dir) == wanted for other in self._jobs if not self._is_finished(other))

    def _is_finished(self, job: Job) -> bool:
        return job.run_dir in self._over and self._over[job.run_dir].state is State.FINISHED

    def _outcome(self, job: Job) -> Outcome:
        if job.run_dir in self._over:
            return self._over[job.run_dir]
        if (child := self._children.get(job.run_dir)) is not None:
            return Outcome(job=job, state=State.TRAINING, seconds=time.monotonic() - child.began, log=child.log)
        lacks = f"{job.start_from}, which it starts from, is not finished" if self._lacks_its_start(job) else None
        return Outcome(job=job, state=State.WAITING, reason=lacks or self._stop_reason)

    def _row(self, outcome: Outcome) -> Row:
        standing, left = self._watches[outcome.job.run_dir].look(), None
        child = self._children.get(outcome.job.run_dir)
        if standing is not None and child is not None:
            left = standing.seconds_left(outcome.job.config.training.epochs, child.began_unix, time.time())
        return Row(outcome=outcome, standing=standing, seconds_left=left)
