"""Variants of a thing that take turns, so that a machine that is slow for a while is slow for all of them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from statistics import median

Make = Callable[[int], Callable[[], object]]
"""Given the number of a round, the first being 0, returns what is to be timed in it."""


def in_turns(variants: Mapping[str, Make], rounds: int, warm_up: int) -> dict[str, list[float]]:
    """Return variant → seconds in each round, in a new order every round; those of the warm-up are left out.

    Args:
        variants: name → what to time.
        rounds: all of them, those of the warm-up included.
        warm_up: rounds that are not counted, the first ones.
    """
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    order = random.Random(0)
    for number in range(rounds):
        for name in order.sample(list(variants), len(variants)):
            timed = variants[name](number)
            began = time.perf_counter()
            timed()
            if number >= warm_up:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def ratios(seconds: Mapping[str, list[float]], first: str) -> dict[str, float]:
    """Return variant → median over rounds of its time as a multiple of that of `first` in the same round."""
    return {
        name: median(own / base for own, base in zip(times, seconds[first], strict=True))
        for name, times in seconds.items()
    }
