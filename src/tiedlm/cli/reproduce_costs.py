"""What the missing trainings of a row would cost here, as `tiedlm reproduce --list` tells it."""

from __future__ import annotations

from collections.abc import Sequence

from tiedlm.paper.plan import Estimate, Missing, trainings
from tiedlm.paper.published import ROWS
from tiedlm.paper.results import Conditions
from tiedlm.training.duration import duration

UNKNOWN = "unknown"


def cost(steps: Sequence[Missing], here: Conditions) -> str:
    """Return how long the trainings for one row's steps would take, and of which others that is told."""
    if not steps:
        return "-"
    estimate = steps[0].estimate  # one for all: they are of one recipe
    if estimate is None:
        return UNKNOWN
    told = duration(sum(training.seconds or 0.0 for training in trainings(steps)))
    others = _others(estimate, steps[0].recipe, here)
    return f"{told} ({', '.join(others)})" if others else told


def what_costs_are(here: Conditions) -> str:
    """Return the lines that say for which trainings the costs hold."""
    return (
        f"Costs are times of one process in {here.precision} on {_threads(here)} of {here.machine}, as `tiedlm "
        "reproduce` begins it.\nBrackets name what was otherwise in the recorded trainings that a time is of. Where "
        "that is the size of the network,\nthe time is a rough one, by the work of the matrix products. A first "
        "training whose run is not here is made again.\n"
    )


def _others(found: Estimate, name: str, here: Conditions) -> list[str]:
    """Return in words what was otherwise in the recorded trainings."""
    size = [] if found.of_size == ROWS[name].size else [f"{found.of_size} network"]
    conditions = found.conditions
    told = {"precision": conditions.precision, "threads": _threads(conditions), "machine": conditions.machine}
    return [*size, *(words for name, words in told.items() if getattr(conditions, name) != getattr(here, name))]


def _threads(conditions: Conditions) -> str:
    return f"{conditions.threads} thread{'s' if conditions.threads > 1 else ''}"
