"""Which of the paper's rows stand, and what that cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from tiedlm.paper.collect import Row, stages
from tiedlm.paper.machines import epoch_seconds
from tiedlm.paper.ordering import headline

SLACK = 0.5
"""A row stands where our mean test perplexity is at most the paper's plus so much, both as printed, to two decimals."""


def stands(row: Row) -> bool | None:
    """Return whether a row stands; None where it was not run as often as in the paper, or the paper lacks it."""
    ours, paper = headline(row), row.published.test
    return None if ours is None or paper is None else round(ours.mean - paper, 2) <= SLACK


def hours(row: Row) -> dict[str, float]:
    """Return machine → hours of training behind a row's results, every training of every seed counted."""
    found: dict[str, float] = {}
    for result in row.results.values():
        for stage in stages(result):
            for conditions, seconds in epoch_seconds(stage).items():
                found[conditions.machine] = found.get(conditions.machine, 0.0) + sum(seconds) / 3600
    return found


@final
@dataclass(frozen=True, kw_only=True)
class Standing:
    """All rows of the paper in a few numbers."""

    rows: int
    """Rows that the paper has."""
    run: int
    """Of these, those that were run, as many trainings as in the paper."""
    stand: int
    """Of these, those that stand."""
    hours: dict[str, float]
    """Machine → hours of training, those of rows beside the paper's included."""


def standing(rows: Mapping[str, Row]) -> Standing:
    """Return how many rows stand, and at what cost."""
    verdicts = [stands(row) for row in rows.values() if row.published.test is not None]
    total: dict[str, float] = {}
    for row in rows.values():
        for machine, spent in hours(row).items():
            total[machine] = total.get(machine, 0.0) + spent
    known = [verdict for verdict in verdicts if verdict is not None]
    return Standing(rows=len(verdicts), run=len(known), stand=sum(known), hours=dict(sorted(total.items())))
