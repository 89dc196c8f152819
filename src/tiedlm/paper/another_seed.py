"""Where one more seed of a row is to be expected: a prediction interval from the spread between seeds of all rows.

A row has few seeds, and the standard deviation of two or three says little; but rows differ little in it once it is
taken of log perplexity. So with n_k seeds of row k and s_k the standard deviation of their log test perplexities,

    s^2 = sum_k (n_k - 1) s_k^2 / f,  f = sum_k (n_k - 1)

and one more seed of row k falls with a probability of 95 % between exp(m_k -/+ t_f s sqrt(1 + 1/n_k)), where m_k is the
mean of the logarithms and t_f the quantile of Student's distribution. Figures after as many trainings as the paper's.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

from tiedlm.paper.collect import Row
from tiedlm.paper.ordering import headline
from tiedlm.paper.paired import CONFIDENCE, t_quantile


@final
@dataclass(frozen=True, kw_only=True)
class SeedSpread:
    """How far seeds of one row lie apart."""

    sd: float
    """s, of log test perplexity."""
    degrees: int
    """f."""

    def range(self, logs: list[float]) -> tuple[float, float]:
        """Return between what test perplexities one more seed falls, from the logarithms of those there are."""
        mean, n = statistics.fmean(logs), len(logs)
        half = t_quantile(1 - CONFIDENCE, self.degrees) * self.sd * math.sqrt(1 + 1 / n)
        return math.exp(mean - half), math.exp(mean + half)


def seed_spread(rows: Iterable[Row]) -> SeedSpread | None:
    """Return the spread between seeds, pooled over rows; None where no row has two seeds."""
    several = [logs for logs in map(log_perplexities, rows) if len(logs) > 1]
    if not several:
        return None
    degrees = sum(len(logs) - 1 for logs in several)
    squares = sum((len(logs) - 1) * statistics.variance(logs) for logs in several)
    return SeedSpread(sd=math.sqrt(squares / degrees), degrees=degrees)


def log_perplexities(row: Row) -> list[float]:
    """Return ln of a row's test perplexities, one a seed, after as many trainings as the paper's."""
    sample = headline(row)
    return [] if sample is None else [math.log(value) for value in sample.by_seed.values()]
