"""Means, tests and intervals over seeds and over text, with numpy and no SciPy."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, final

import numpy as np

from tiedlm.errors import ArgumentError

CONFIDENCE = 0.95
MIN_SEEDS = 3
"""With fewer seeds no p-value and no interval over seeds is given: two differences say little of their spread."""
RESAMPLES = 10_000
"""Draws of the bootstrap, from a generator of a fixed seed: the same text gives the same interval."""


@final
@dataclass(frozen=True)
class Sample:
    """A figure of one or more runs of one recipe that differ in their seed."""

    by_seed: dict[int, float]

    @property
    def n(self) -> int:
        return len(self.by_seed)

    @property
    def mean(self) -> float:
        return statistics.fmean(self.by_seed.values())

    @property
    def sd(self) -> float | None:
        """Return the sample standard deviation (n - 1); None for one run, which has no spread."""
        return statistics.stdev(self.by_seed.values()) if self.n > 1 else None

    def text(self, digits: int = 2) -> str:
        """Return `mean ± sd`, or the mean alone of one run."""
        return f"{self.mean:.{digits}f}" + ("" if self.sd is None else f" ± {self.sd:.{digits}f}")

    def minus(self, other: Sample) -> list[float]:
        """Return the differences of the seeds that both have."""
        return [value - other.by_seed[seed] for seed, value in self.by_seed.items() if seed in other.by_seed]


class Paired(NamedTuple):
    n: int
    mean: float
    half_width: float | None
    """Half the width of the 95 % confidence interval around the mean; None with too few seeds."""
    p: float | None
    """Two-sided p-value of no difference; None with too few seeds."""


def paired_t_test(differences: Sequence[float]) -> Paired:
    """Return mean, 95 % confidence interval and two-sided p-value of one or more paired differences.

    t = mean / (sd / sqrt(n)) has Student's distribution with n - 1 degrees of freedom where the differences are normal
    with mean 0.
    """
    n, mean = len(differences), statistics.fmean(differences)
    if n < MIN_SEEDS:
        return Paired(n, mean, None, None)
    error = statistics.stdev(differences) / math.sqrt(n)
    if error == 0:
        return Paired(n, mean, 0.0, 1.0 if mean == 0 else 0.0)
    return Paired(n, mean, error * student_quantile(1 - CONFIDENCE, n - 1), student_p(mean / error, n - 1))


def student_p(t: float, degrees: int) -> float:
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


def student_quantile(p: float, degrees: int) -> float:
    """Return the t whose two-sided p-value is `p`, in (0, 1), by bisection."""
    low, high = 0.0, 1.0
    while student_p(high, degrees) > p:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if student_p(middle, degrees) > p else (low, middle)
    return high


class Spread(NamedTuple):
    """The standard deviation s of log perplexity between seeds of one row, with its degrees of freedom f."""

    sd: float
    degrees: int

    def next_seed_range(self, sample: Sample) -> tuple[float, float]:
        """Return the 95 % prediction interval of one more seed: exp(m -/+ t_f s sqrt(1 + 1/n)), m the mean log."""
        mean = statistics.fmean(map(math.log, sample.by_seed.values()))
        half = student_quantile(1 - CONFIDENCE, self.degrees) * self.sd * math.sqrt(1 + 1 / sample.n)
        return math.exp(mean - half), math.exp(mean + half)


def pooled_sd(samples: Iterable[Sample]) -> Spread | None:
    """Return the spread between seeds, pooled over rows; None where no row has two seeds.

    The standard deviation of two or three seeds says little, but rows differ little in that of log perplexity. With
    n_k seeds of row k and s_k the standard deviation of their logarithms,

        s^2 = sum_k (n_k - 1) s_k^2 / f,  f = sum_k (n_k - 1).
    """
    logs = [[math.log(value) for value in sample.by_seed.values()] for sample in samples if sample.n > 1]
    degrees = sum(len(row) - 1 for row in logs)
    if not degrees:
        return None
    return Spread(math.sqrt(sum((len(row) - 1) * statistics.variance(row) for row in logs) / degrees), degrees)


class Ratio(NamedTuple):
    value: float
    low: float
    high: float


def block_bootstrap_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Ratio:
    """Return the ratio of two models' sums over one text, with the interval of a bootstrap over blocks of the text.

    Words near each other are alike, so contiguous blocks are drawn, the same for both models, so that what both find
    hard cancels. The interval reflects variation over texts like this one, not over seeds.

    Args:
        numerator, denominator: a sum for each block of the text, in the same order [B].

    Raises:
        ArgumentError: different numbers of blocks, none at all, or a denominator that is not above 0 in every block.
    """
    above, below = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    if above.shape != below.shape or not above.size:
        raise ArgumentError(f"A ratio needs one number of blocks, but there are {above.size} and {below.size} of them.")
    if not (below > 0).all():
        raise ArgumentError("A ratio needs a denominator above 0 in every block.")
    counts = _block_counts(above.size)
    ratios = (counts * above).sum(1) / (counts * below).sum(1)
    low, high = np.quantile(ratios, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).tolist()
    return Ratio(float(above.sum() / below.sum()), low, high)


@cache
def _block_counts(blocks: int) -> np.ndarray[Any, Any]:
    """Return how often each block is drawn in each resample [R, B]."""
    draws = np.random.default_rng(0).integers(0, blocks, (RESAMPLES, blocks))
    places = draws + blocks * np.arange(RESAMPLES)[:, None]
    return np.bincount(places.ravel(), minlength=RESAMPLES * blocks).reshape(RESAMPLES, blocks).astype(np.float64)
