"""Seconds in words."""

from __future__ import annotations

import pytest

from tiedlm.training.duration import duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0s"), (59.4, "59s"), (60, "1m00s"), (187, "3m07s"), (3720, "1h02m"), (3599.7, "1h00m")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
