"""Means over the words of a text, with standard errors that allow for words near each other being alike.

The text is cut into B blocks of contiguous words. A mean over the words that count is a ratio of two sums over blocks,
R = sum_b s_b / sum_b c_b, and its standard error that of a ratio, from how the blocks differ among themselves:

    e_b = B (s_b - R c_b) / sum_b c_b        what block b has above its share
    standard error = sd(e_b) / sqrt(B)

Of two models on the same text, e_b of the one less e_b of the other gives the error of their difference: what both find
hard in a block cancels. The error tells how the figure would vary over texts like this one; it says nothing of how it
would vary over trainings from other seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError

BLOCKS = 100
"""Blocks that a text is cut into: some hundred words each on the published test texts, and more."""

NORMAL_95 = 1.96
"""Standard errors on either side of an interval of 95 %."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over words and how sure it is."""

    mean: float
    """The mean, or the difference of two."""
    standard_error: float
    """Its standard error over blocks of the text."""
    words: int
    """Words that it is a mean over."""

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of 95 %, by the normal distribution."""
        return self.mean - NORMAL_95 * self.standard_error, self.mean + NORMAL_95 * self.standard_error


class BlockSums(NamedTuple):
    """One measure's sums over the blocks of a text, in order."""

    sums: list[float]
    """Of the measure, over the words that count."""
    counts: list[int]
    """Words that count."""


@final
class BlockMeans:
    """Sums by block of several measures of each word of a text.

    Args:
        measures: how many.
        words: of the whole text.
        blocks: B; at most one a word.
    """

    def __init__(self, measures: int, words: int, blocks: int = BLOCKS) -> None:
        self._words, self._seen = words, 0
        self._sums = torch.zeros(min(blocks, words), measures, dtype=torch.float64)
        self._counts = torch.zeros_like(self._sums)

    def add(self, values: Tensor, counted: Tensor) -> None:
        """Take the next words of the text: their measures, and which of them count; both [T, measures]."""
        place = torch.arange(self._seen, self._seen + len(values)) * len(self._sums) // self._words
        values, counted = values.cpu().double(), counted.cpu()
        self._sums.index_add_(0, place, values.where(counted, 0))
        self._counts.index_add_(0, place, counted.double())
        self._seen += len(values)

    def estimates(self) -> list[Estimate | None]:
        """Return the mean of each measure; None for one that no word counted for."""
        means, shares = self._linear()
        return self._told(means, shares)

    def by_block(self) -> list[BlockSums]:
        """Return the sums that each mean is made of."""
        pairs = zip(self._sums.T.tolist(), self._counts.T.long().tolist(), strict=True)
        return [BlockSums(sums, counts) for sums, counts in pairs]

    def differences(self, other: BlockMeans) -> list[Estimate | None]:
        """Return the mean of each measure less that of `other`, which must have taken the same words.

        Raises:
            ArgumentError: the two did not count the same words.
        """
        if self._counts.shape != other._counts.shape or not bool((self._counts == other._counts).all()):
            raise ArgumentError("The means to compare are over different words. Take both over the same text.")
        (means, shares), (others, other_shares) = self._linear(), other._linear()
        return self._told(means - others, shares - other_shares)

    def _linear(self) -> tuple[Tensor, Tensor]:
        """Return R and e_b of each measure."""
        total = self._counts.sum(0)
        means = self._sums.sum(0) / total
        return means, len(self._sums) * (self._sums - means * self._counts) / total

    def _told(self, means: Tensor, shares: Tensor) -> list[Estimate | None]:
        blocks = len(shares)
        errors = shares.std(0) / blocks**0.5 if blocks > 1 else torch.full_like(means, torch.inf)
        rows = zip(means.tolist(), errors.tolist(), self._counts.sum(0).int().tolist(), strict=True)
        return [
            Estimate(mean=mean, standard_error=error, words=count) if count else None for mean, error, count in rows
        ]
