"""How many trainings at once, and how many threads for each."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tiedlm.errors import ArgumentError
from tiedlm.launching.job import Job

ON_ONE_GPU = 4
"""Trainings at once on a GPU. A small model's step leaves most of it idle; large ones may want fewer (`slots`)."""


def slots_for(jobs: Sequence[Job], slots: int | None = None) -> int:
    """Return how many of the jobs to train at once.

    On a CPU one a core, or one for as many cores as `runtime.threads` of the most demanding job says.

    Args:
        jobs: those to be trained.
        slots: the number asked for; None chooses.

    Raises:
        ArgumentError: `slots` is below 1.
    """
    if slots is not None:
        if slots < 1:
            raise ArgumentError(f"{slots} trainings at once were asked for, but at least 1 must run.")
        return min(slots, len(jobs))
    threads = max((job.config.runtime.threads or 1 for job in jobs), default=1)
    most = max(1, cores() // threads)
    if any(job.config.runtime.device != "cpu" for job in jobs):
        most = min(most, ON_ONE_GPU)
    return min(most, len(jobs))


def threads_for(slots: int) -> int:
    """Return the threads of a training whose config names none, so that `slots` of them fill the cores."""
    return max(1, cores() // max(1, slots))


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
