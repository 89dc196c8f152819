"""Budgets as people write them."""

from __future__ import annotations

import pytest

from tiedlm.cli.budget import budget_seconds
from tiedlm.errors import ArgumentError


@pytest.mark.parametrize(("text", "seconds"), [("9m", 540), ("90s", 90), ("1h30m", 5400), ("2h", 7200), (" 1m ", 60)])
def test_hours_minutes_seconds(text: str, seconds: int) -> None:
    assert budget_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "9", "m", "9 m", "-9m", "9m1h", "1.5h"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ArgumentError, match="as in 9m, 90s or 1h30m"):
        budget_seconds(text)


def test_too_little_for_anything_is_refused() -> None:
    with pytest.raises(ArgumentError, match="--budget is 59s, but trainings need 60s or more"):
        budget_seconds("59s")
