"""The ratio of two models' sums over one text, with an interval: the bootstrap over contiguous blocks of the text.

Words near each other are alike, so blocks of some hundred words are drawn, not words: as many as there are, with
replacement, the same blocks for both models, so that what both find hard in a block cancels. The interval is that
between the quantiles of the ratio over the draws. It tells how the ratio would vary over texts like this one, and
nothing of how it would vary over trainings from other seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, final

import numpy as np

from tiedlm.errors import ArgumentError

RESAMPLES, SEED = 10_000, 0
"""Draws, and the seed of the generator that they come from: the same text gives the same interval."""
CONFIDENCE = 0.95


@final
@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A ratio and its interval of 95 %."""

    value: float
    low: float
    high: float


def ratio_of_sums(numerator: Sequence[float], denominator: Sequence[float]) -> Ratio:
    """Return the ratio of two sums over blocks, with its interval.

    Args:
        numerator, denominator: a sum for each block of the text, in the same order [B].

    Raises:
        ArgumentError: other numbers of blocks, none at all, or a denominator that is not above 0 in every block.
    """
    above, below = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    if above.shape != below.shape or not above.size:
        raise ArgumentError(f"A ratio needs one number of blocks, but there are {above.size} and {below.size} of them.")
    if not (below > 0).all():
        raise ArgumentError("A ratio needs a denominator above 0 in every block.")
    times = _times_drawn(above.size)
    drawn = (times * above).sum(1) / (times * below).sum(1)
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).tolist()
    return Ratio(value=float(above.sum() / below.sum()), low=low, high=high)


@cache
def _times_drawn(blocks: int) -> np.ndarray[Any, Any]:
    """Return how often each block is drawn in each resample [R, B]."""
    chosen = np.random.default_rng(SEED).integers(0, blocks, (RESAMPLES, blocks))
    times = np.zeros((RESAMPLES, blocks))
    np.add.at(times, (np.arange(RESAMPLES)[:, None], chosen), 1.0)
    return times
