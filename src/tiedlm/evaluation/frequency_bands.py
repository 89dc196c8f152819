"""Figures by how frequent a word is in the training text: ranks 1-10, 11-100, 101-1,000, 1,001-3,000 and the rest.

A vocabulary is in the order of its counts, so a word's rank is its id and one. A perplexity is one number over all
words, and most running words are frequent; what a loss does to the thousands of rare ones shows here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

LAST_RANKS = (10, 100, 1_000, 3_000)
"""The last rank of every band but the last one."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """Ranks that are looked at together."""

    first: int
    """The first rank, from 1."""
    last: int
    """The last rank, at most V."""

    @property
    def ids(self) -> slice:
        """The ids of its words."""
        return slice(self.first - 1, self.last)

    def __str__(self) -> str:
        """Return the ranks, as in `1,001-3,000`."""
        return f"{self.first:,}-{self.last:,}"


def frequency_bands(words: int) -> list[Band]:
    """Return the bands of a vocabulary of `words` words, the last one up to V; those beyond it are left out."""
    ends = [*(last for last in LAST_RANKS if last < words), words]
    return [Band(first=before + 1, last=last) for before, last in zip([0, *ends], ends, strict=False)]


def mean_squared_norms(table: Tensor, bands: list[Band]) -> list[float]:
    """Return the mean |w|^2 over the rows of a table [V, D], for each band."""
    norms = table.detach().double().square().sum(1)
    return [float(norms[band.ids].mean()) for band in bands]


@final
class BandTally:
    """Sums of -log p by the band of the word that came.

    Args:
        words: V.
    """

    def __init__(self, words: int) -> None:
        self.bands = frequency_bands(words)
        ends = torch.tensor([band.last for band in self.bands])
        self._band_of = torch.bucketize(torch.arange(1, words + 1), ends)
        self._nll_nats = torch.zeros(len(ends), dtype=torch.float64)
        self.targets = torch.zeros(len(ends), dtype=torch.int64)
        """How often a word of each band came [bands]."""

    def add(self, targets: Tensor, nll_nats: Tensor) -> None:
        """Take words [T] and -log p of each, in nats [T]."""
        place = self._band_of[targets.cpu()]
        self._nll_nats.index_add_(0, place, nll_nats.cpu().double())
        self.targets += place.bincount(minlength=len(self.targets))

    def mean_nll_nats(self) -> list[float | None]:
        """Return the mean of -log p in nats for each band; None where none of its words came."""
        pairs = zip(self._nll_nats.tolist(), self.targets.tolist(), strict=True)
        return [total / count if count else None for total, count in pairs]
