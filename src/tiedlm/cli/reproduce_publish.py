"""Finished runs are published while others are trained: a machine that goes away then takes no result along."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from tiedlm.cli.output import say
from tiedlm.errors import TiedlmError
from tiedlm.launching import Job

Answer = tuple[Job, Path | TiedlmError]


class Publishing:
    """Publishes runs in the order in which they are given, one at a time, beside what the caller does.

    Whoever leaves without `end` leaves the one under way unpublished, and those that wait: nothing of it is half done.

    Args:
        publish: publishes the run of a job and returns the result's folder, or raises a TiedlmError.
    """

    def __init__(self, publish: Callable[[Job], Path]) -> None:
        self._publish = publish
        self._given: SimpleQueue[Job | None] = SimpleQueue()
        self._answers: SimpleQueue[Answer | BaseException] = SimpleQueue()
        self._count = 0
        Thread(target=self._work, daemon=True).start()

    def begin(self, job: Job) -> None:
        """Have the run of a job published as soon as those before it are."""
        self._count += 1
        self._given.put(job)

    def end(self) -> int:
        """Wait for all, tell of each, and return how many were refused."""
        refused = 0
        for _ in range(self._count):
            answer = self._answers.get()
            if isinstance(answer, BaseException):
                raise answer
            job, found = answer
            if isinstance(found, TiedlmError):
                refused += 1
                say(f"tiedlm: {job.run_dir} was not published: {found}", file=sys.stderr)
            else:
                say(found)
        self._given.put(None)
        return refused

    def _work(self) -> None:
        while (job := self._given.get()) is not None:
            self._answers.put(self._answer(job))

    def _answer(self, job: Job) -> Answer | BaseException:
        try:
            return job, self._publish(job)
        except TiedlmError as error:
            return job, error
        except BaseException as error:
            return error  # and raised where it is waited for
