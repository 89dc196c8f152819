"""A launch without processes: the jobs are trained in this one, one after the other, where their configs are small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tiedlm.errors import TiedlmError
from tiedlm.launching.checks import check_jobs
from tiedlm.launching.job import Job, Outcome, State
from tiedlm.training import loop


def launch_here(jobs: Sequence[Job], **options: Any) -> list[Outcome]:
    """What `launch` does with jobs."""
    check_jobs(jobs)
    return [_outcome(job) for job in jobs]


def _outcome(job: Job) -> Outcome:
    try:
        if not job.is_begun():
            loop.train(job.config, job.run_dir)
        elif not job.is_finished():
            loop.resume(job.run_dir)
    except TiedlmError as error:
        return Outcome(job=job, state=State.FAILED, reason=str(error), log=job.run_dir.with_suffix(".log"))
    return Outcome(job=job, state=State.FINISHED)
