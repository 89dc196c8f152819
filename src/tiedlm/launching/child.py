"""One training process: started with a lifeline and a log, asked to stop, and told apart by how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import final

from tiedlm.checkpoint.saving import saving
from tiedlm.launching.job import Job, Outcome, State
from tiedlm.launching.lifeline import VARIABLE

INTERRUPTED = {128 + signal.SIGINT, -signal.SIGINT, -signal.SIGTERM}
"""Statuses of a process that was asked to end: `tiedlm train` after saving, and a process that had nothing to save."""
ERROR_MARK = "tiedlm: error: "


def log_of(job: Job) -> Path:
    """Return the file for what a job's processes print: beside the run folders, hidden from `runs/*`."""
    return job.run_dir.parent / ".logs" / f"{job.name}.log"


@final
class Child:
    """A process that trains a job.

    Args:
        job: what to train.
        threads: for PyTorch, where the job's config names none.

    Raises:
        RunError: the log cannot be written.
    """

    def __init__(self, job: Job, threads: int) -> None:
        self.job, self.log = job, log_of(job)
        self.began, self.began_unix = time.monotonic(), time.time()
        self._stopped_at: float | None = None
        self._killed = False
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), VARIABLE: "1"}
        with saving(self.log):
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("ab") as log:
                self._log_start = log.tell()
                # a log and not a pipe, so that a launcher's death does not break the last lines it has to say; a
                # session of its own, so that an interrupt typed at the terminal comes from the launcher alone
                self._process = subprocess.Popen(
                    job.command(),
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                )

    def stop(self) -> None:
        """Ask the process to save and end; asked again, it ends at once and goes on from its last save."""
        self._process.terminate()
        self._stopped_at = self._stopped_at or time.monotonic()

    def kill_after(self, patience_seconds: float) -> None:
        """End the process by force where it was asked so long ago that it must hang; what it saved is whole."""
        if self._stopped_at is not None and time.monotonic() - self._stopped_at > patience_seconds:
            self._process.kill()
            self._killed = True

    def outcome(self) -> Outcome | None:
        """Return what became of the job; None while it runs."""
        status = self._process.poll()
        if status is None:
            return None
        if self._process.stdin is not None:
            self._process.stdin.close()
        state, reason = self._state_and_reason(status)
        seconds = time.monotonic() - self.began
        return Outcome(job=self.job, state=state, seconds=seconds, reason=reason, log=self.log)

    def _state_and_reason(self, status: int) -> tuple[State, str | None]:
        if status == 0:
            return State.FINISHED, None
        if self._killed:
            return State.STOPPED, "did not end when asked to, and was killed; it goes on from its last save"
        if status in INTERRUPTED:
            return State.STOPPED, None if self._stopped_at else "something else than the launcher stopped it"
        return State.FAILED, self._last_error() if status > 0 else _signal_in_words(-status)

    def _last_error(self) -> str:
        """Return the last error that the process told, else its last line."""
        with saving(self.log), self.log.open("rb") as log:
            log.seek(self._log_start)
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        errors = [line.removeprefix(ERROR_MARK) for line in lines if line.startswith(ERROR_MARK)]
        return (errors or lines or ["ended with an error and told nothing"])[-1]


def _signal_in_words(number: int) -> str:
    if number == signal.SIGKILL:
        return "killed by the system (SIGKILL), as happens when memory runs out: train fewer at once"
    return f"ended by signal {number} ({signal.strsignal(number)})"
