"""How long a command may take, as people write it: `9m`, `90s`, `1h30m`. Imports no torch."""

from __future__ import annotations

import re

from tiedlm.errors import ArgumentError

FORM = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
LEAST_SECONDS = 60
"""A training takes about that long to start, and to save when it is asked to end."""


def budget_seconds(text: str) -> int:
    """Return the seconds of a budget.

    Raises:
        ArgumentError: it is not written so, or too little to train anything.
    """
    found = FORM.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise ArgumentError(f"--budget is {text!r}, but must be hours, minutes, seconds, as in 9m, 90s or 1h30m.")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    total = 3600 * hours + 60 * minutes + seconds
    if total < LEAST_SECONDS:
        raise ArgumentError(
            f"--budget is {text}, but trainings need {LEAST_SECONDS}s or more: they take about that long to start and "
            "to save. What is cut goes on with the next budget."
        )
    return total
