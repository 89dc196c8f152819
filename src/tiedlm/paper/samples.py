"""One figure over seeds: mean, spread and number."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import final

from tiedlm.errors import ArgumentError


@final
@dataclass(frozen=True)
class Sample:
    """A figure of several runs of one recipe that differ in their seed.

    Raises:
        ArgumentError: no runs.
    """

    by_seed: dict[int, float]
    """Seed → figure, one or more."""

    def __post_init__(self) -> None:
        if not self.by_seed:
            raise ArgumentError("A sample needs one run or more: a row without runs has no figure at all.")

    @property
    def n(self) -> int:
        """Return the number of runs."""
        return len(self.by_seed)

    @property
    def mean(self) -> float:
        """Return the arithmetic mean."""
        return statistics.fmean(self.by_seed.values())

    @property
    def sd(self) -> float | None:
        """Return the sample standard deviation (n - 1); None for one run, which has no spread."""
        return statistics.stdev(self.by_seed.values()) if self.n > 1 else None

    def told(self) -> str:
        """Return `mean ± sd` with two decimals, or the one figure alone."""
        return f"{self.mean:.2f}" if self.sd is None else f"{self.mean:.2f} ± {self.sd:.2f}"
