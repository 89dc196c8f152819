"""What a training would cost, from what recorded trainings took.

seconds = epochs x work of an epoch x (recorded seconds of an epoch / recorded work of an epoch)

Work is that of the matrix products, which is what differs between the models of one size (`reproduction.work`).
Recorded trainings of other machines, precisions, numbers of threads or sizes are not mixed. Where none of the size was
recorded another size stands for it: the time is a rough one then, too long on a device that a small network leaves
idle.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from tiedlm.paper.collect import Row, stages
from tiedlm.paper.machines import Conditions, epoch_seconds
from tiedlm.paper.published import PUBLISHED, Size
from tiedlm.paper.work import work_a_word, work_of_a_training, work_of_an_epoch
from tiedlm.recipes import recipe
from tiedlm.runs.config import Precision, RuntimeConfig

THREADS = 1
"""Threads of a training that `tiedlm reproduce` begins: it trains one a core."""


@final
@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What one training would take, in one process as the recorded ones ran."""

    seconds: float
    conditions: Conditions
    """Those of the recorded trainings that it is drawn from, and holds for."""
    of_size: Size
    """Size of the networks that were recorded: that of the row where there are any."""


def begun(machine: str, precision: Precision | None = None) -> Conditions:
    """Return how `tiedlm reproduce` begins a training on a machine; without a precision, the one of all recipes."""
    return Conditions(machine=machine, precision=precision or RuntimeConfig().precision, threads=THREADS)


def estimate(name: str, rows: Mapping[str, Row], wanted: Conditions) -> Estimate | None:
    """Return the cost of one training of a row's recipe; None where no training at all was recorded.

    Args:
        name: the row.
        rows: all rows with their results.
        wanted: what to estimate for; where none of the size was recorded so, the estimate is for what comes nearest:
            the machine counts first, then precision, threads, and how many were recorded. Where none of the size was
            recorded at all, so it is with those of other sizes, and before their number counts how near their work is.
    """
    recorded: dict[tuple[Size, Conditions], list[float]] = {}
    for row in rows.values():
        for stage in (stage for result in row.results.values() for stage in stages(result)):
            for conditions, seconds in epoch_seconds(stage).items():
                a_unit = statistics.median(seconds) / work_of_an_epoch(recipe(row.name))
                recorded.setdefault((row.published.size, conditions), []).append(a_unit)
    if not recorded:
        return None
    own, nearness = PUBLISHED[name].size, _nearness(name, rows)
    size, found = max(
        recorded, key=lambda one: (one[0] == own, *_alike(one[1], wanted), nearness[one[0]], len(recorded[one]))
    )
    seconds = statistics.median(recorded[size, found]) * work_of_a_training(recipe(name))
    return Estimate(seconds=seconds, conditions=found, of_size=size)


def _alike(one: Conditions, other: Conditions) -> tuple[bool, bool, bool]:
    return one.machine == other.machine, one.precision == other.precision, one.threads == other.threads


def _nearness(name: str, rows: Mapping[str, Row]) -> dict[Size, float]:
    """Return for each size how near its work a word comes to the row's: 0 where it is the same, else below."""
    own, nearness = work_a_word(recipe(name)), dict[Size, float]()
    for row in rows.values():
        size, apart = row.published.size, -abs(math.log(work_a_word(recipe(row.name)) / own))
        nearness[size] = max(apart, nearness.get(size, -math.inf))
    return nearness
