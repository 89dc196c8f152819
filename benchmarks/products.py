"""Kinds of one matrix product that take turns on the same factors, and the row of a CSV for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from typing import NamedTuple

from command_line import Row
from machine import facts
from turns import Make, in_turns, ratios

WARM_UP = 2
"""Rounds that are not counted."""


class Size(NamedTuple):
    """Rows, width and words of a product."""

    rows: int
    width: int
    words: int


def sizes_of(row: Row) -> str:
    """Return the sizes in a row of the CSV, in a column's width."""
    return " x ".join(str(row[name]) for name in Size._fields).ljust(20)


def every_round(kinds: Mapping[str, Callable[[], object]]) -> dict[str, Make]:
    """Return kinds that do the same in every round."""
    return {name: lambda number, timed=timed: timed for name, timed in kinds.items()}


def measured(what: Row, kinds: Mapping[str, Make], rounds: int, kind: str, ratio: str) -> list[Row]:
    """Measure kinds of a product and return a row of the CSV for each, in their order.

    Args:
        what: columns that all rows have.
        kinds: name → what to time; the ratios are to the first.
        rounds: those that are counted.
        kind: column of a kind's name.
        ratio: column of the median over rounds of its time as a multiple of the first's.
    """
    seconds = in_turns(kinds, WARM_UP + rounds, WARM_UP)
    relative = ratios(seconds, next(iter(kinds)))
    return [
        {
            **facts(),
            **what,
            "rounds": rounds,
            kind: name,
            "median_seconds": f"{median(times):.5f}",
            ratio: f"{relative[name]:.3f}",
        }
        for name, times in seconds.items()
    ]
