"""The loop around the processes: start what there is room for, note what has ended, show, stop in time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tiedlm.errors import ArgumentError
from tiedlm.launching.checks import check_jobs, prepare_corpora
from tiedlm.launching.display import Display, for_stream
from tiedlm.launching.fleet import POLL_SECONDS, Fleet
from tiedlm.launching.job import Job, Outcome, State
from tiedlm.launching.share import slots_for, threads_for
from tiedlm.launching.standing import Row
from tiedlm.training.interrupt import interruptible


def launch(
    jobs: Sequence[Job],
    *,
    slots: int | None = None,
    budget_seconds: float | None = None,
    display: Display | None = None,
    patience_seconds: float = 600.0,
    on_finished: Callable[[Job], None] | None = None,
) -> list[Outcome]:
    """Train the jobs, several at once, each by a process of its own: `tiedlm train ...`, as a user would type it.

    A run that is cut goes on, one that is finished stays as it is. A job that fails leaves the others alone. An
    interrupt (control-C) or a request to end (SIGTERM) is passed on, and so is a second one, upon which the processes
    end at once; if the launcher is killed, they save and end on their own.

    Args:
        jobs: what to train, in the order of starting; a run to start from, where it is a job, is waited for.
        slots: how many at once; None fills the cores, or a GPU.
        budget_seconds: when to ask what runs to save and end, from now; each then ends after the window under way, one
            of training or of scoring. None: no limit.
        display: where to report to; None prints a live table on a terminal, else lines.
        patience_seconds: how long a process that was asked to end may take before it is killed as hung.
        on_finished: is told of each job once it is trained, or was so before; the launch waits for it to return.

    Returns:
        What became of each job, in the order of the jobs.

    Raises:
        TiedlmError: jobs that cannot be trained, a corpus that is missing or no longer the one of a run that is there;
            nothing has been started then.
        KeyboardInterrupt: after an interrupt, once all processes have ended.
    """
    deadline = _deadline(budget_seconds)
    check_jobs(jobs)
    missing = [job for job in jobs if not job.is_finished()]
    slots = slots_for(missing, slots)
    display, news = display or for_stream(), _News(on_finished)
    try:
        prepare_corpora(jobs, display.message)
        with (
            interruptible() as interrupt,
            Fleet(jobs, slots=slots, threads=threads_for(slots), patience_seconds=patience_seconds) as fleet,
        ):
            while not fleet.is_over:
                if interrupt.asked:
                    fleet.stop("interrupted")
                elif time.monotonic() >= deadline:
                    fleet.stop("the time is up")
                else:
                    fleet.start()
                time.sleep(POLL_SECONDS)
                fleet.collect()
                _tell(fleet.rows(), news, display)
            _tell(fleet.rows(), news, display)
    finally:
        display.close()
    if interrupt.asked:
        raise KeyboardInterrupt
    return fleet.outcomes()


def _tell(rows: Sequence[Row], news: _News, display: Display) -> None:
    news.tell([row.outcome for row in rows])
    display.show(rows)


class _News:
    """Tells of each job once that it is finished."""

    def __init__(self, told: Callable[[Job], None] | None) -> None:
        self._tell, self._known = told or (lambda job: None), set[Path]()

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        finished = [one.job for one in outcomes if one.state is State.FINISHED and one.job.run_dir not in self._known]
        self._known.update(job.run_dir for job in finished)
        for job in finished:
            self._tell(job)


def _deadline(budget_seconds: float | None) -> float:
    if budget_seconds is None:
        return math.inf
    if not budget_seconds > 0:
        raise ArgumentError(f"The budget is {budget_seconds} seconds, but must be above 0.")
    return time.monotonic() + budget_seconds
