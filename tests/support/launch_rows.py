"""Rows of a launch, put together by hand."""

from __future__ import annotations

from pathlib import Path

from tiedlm.launching.job import Job, Outcome, State
from tiedlm.launching.standing import Row, Standing

STANDING = Standing(
    epoch=2,
    train_perplexity=120.126,
    valid_perplexity=130.0,
    best_valid_perplexity=129.5,
    words_per_second=5012.4,
    seconds=60.0,
    time_unix=0.0,
)


def row(
    job: Job, state: State, standing: Standing | None = None, left: float | None = None, reason: str | None = None
) -> Row:
    """A row of a job in that state."""
    outcome = Outcome(job=job, state=state, reason=reason, log=Path("a.log"))
    return Row(outcome=outcome, standing=standing, seconds_left=left)
