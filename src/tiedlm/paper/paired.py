"""Whether one model is better than another over seeds: the paired t-test, two-sided, without SciPy.

Runs of two models are paired by their seed, and the differences are taken for normal. With fewer than three seeds there
is no p-value: one difference has no spread, and two say next to nothing of theirs.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from tiedlm.errors import ArgumentError

LEAST_SEEDS = 3
"""With fewer differences no p-value and no interval is given."""
CONFIDENCE = 0.95


@final
@dataclass(frozen=True, kw_only=True)
class Paired:
    """What the differences of two models come to."""

    n: int
    """How many seeds both models have."""
    mean: float
    """Mean difference."""
    half_width: float | None
    """Half the width of the 95 % confidence interval around the mean; None with too few seeds."""
    p: float | None
    """Two-sided p-value of no difference; None with too few seeds."""


def paired_t_test(differences: Sequence[float]) -> Paired:
    """Return mean, 95 % confidence interval and two-sided p-value of paired differences.

    t = mean / (sd / sqrt(n)) has Student's distribution with n - 1 degrees of freedom where the differences are normal
    with mean 0.

    Raises:
        ArgumentError: no differences.
    """
    if not differences:
        raise ArgumentError("A paired test needs one difference or more.")
    n, mean = len(differences), statistics.fmean(differences)
    if n < LEAST_SEEDS:
        return Paired(n=n, mean=mean, half_width=None, p=None)
    error = statistics.stdev(differences) / math.sqrt(n)
    if error == 0:
        return Paired(n=n, mean=mean, half_width=0.0, p=1.0 if mean == 0 else 0.0)
    return Paired(
        n=n, mean=mean, half_width=error * t_quantile(1 - CONFIDENCE, n - 1), p=two_sided_p(mean / error, n - 1)
    )


def two_sided_p(t: float, degrees: int) -> float:
    """Return P(|T| >= |t|) of Student's distribution with a whole number of degrees of freedom.

    The finite series in cos(theta), theta = arctan(t / sqrt(degrees)) (Abramowitz & Stegun 1964, 26.7.3 and 26.7.4).
    """
    theta = math.atan2(abs(t), math.sqrt(degrees))
    cos, sin = math.cos(theta), math.sin(theta)
    term, total = (cos if degrees % 2 else 1.0), 0.0
    for step in range(degrees % 2, degrees - 1, 2):
        total += term
        term *= cos * cos * (step + 1) / (step + 2)
    inside = 2 / math.pi * (theta + sin * total) if degrees % 2 else sin * total
    return min(max(1 - inside, 0.0), 1.0)


def t_quantile(p: float, degrees: int) -> float:
    """Return the t whose two-sided p-value is `p`, in (0, 1), by halving."""
    low, high = 0.0, 1.0
    while two_sided_p(high, degrees) > p:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided_p(middle, degrees) > p else (low, middle)
    return high
