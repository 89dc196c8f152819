"""A launch without processes: the jobs are trained in this one, one after the other, where their configs are small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tiedlm.errors import TiedlmError
from tiedlm.training import loop
from tiedlm.training.jobs import Job, JobResult, JobState, check_jobs


def launch_here(jobs: Sequence[Job], **options: Any) -> list[JobResult]:
    """What `launch` does with jobs."""
    check_jobs(jobs)
    return [_result(job) for job in jobs]


def _result(job: Job) -> JobResult:
    try:
        if not job.is_begun():
            loop.train(job.config, job.run_dir)
        elif not job.is_finished():
            loop.resume(job.run_dir)
    except TiedlmError as error:
        return JobResult(job=job, state=JobState.FAILED, reason=str(error), log=job.log)
    return JobResult(job=job, state=JobState.FINISHED)
