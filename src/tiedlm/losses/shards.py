"""Word tables split by rows over the ranks of a group: what a rank holds, and how it reaches what the others hold."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError
from tiedlm.native.ranks import Ranks


def shard_of(words: int, rank: int, ranks: int) -> range:
    """Return the words whose rows a rank holds: in the order of the ranks, the first V % R of them with one more.

    Args:
        words: V of all ranks together, at least one for each.
        rank: 0 ... R - 1.
        ranks: R, 1 or more.

    Raises:
        ArgumentError: numbers outside these ranges.
    """
    if ranks < 1 or not 0 <= rank < ranks:
        raise ArgumentError(f"rank is {rank} of {ranks} ranks, but there must be one or more, counted from 0.")
    if words < ranks:
        raise ArgumentError(f"words is {words}, but each of {ranks} ranks must hold one or more: use fewer ranks.")
    each, more = divmod(words, ranks)
    first = rank * each + min(rank, more)
    return range(first, first + each + (rank < more))


@dataclass(frozen=True)
class Shard:
    """The words whose rows one rank holds, and the way to what the others hold; all must call it alike."""

    ranks: Ranks
    held: range
    words: int
    """V of all ranks together."""

    @classmethod
    def of(cls, ranks: Ranks, words: int) -> Shard:
        """Return this rank's, or refuse more ranks than words."""
        return cls(ranks, shard_of(words, ranks.rank, ranks.world_size), words)

    def place(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """Return the row of each word here, and whether it is held here; where it is not, the row is any."""
        held = (words >= self.held.start) & (words < self.held.stop)
        return (words - self.held.start).clamp(0, len(self.held) - 1), held

    def rows_of(self, table: Tensor, words: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the row of each word [U, D], each from the rank that holds it: the others add zeros."""
        row, held = self.place(words)
        return self.ranks.all_reduce_sum(table.index_select(0, row).to(dtype).where(held.unsqueeze(1), 0))[0]

    def mean_of(self, table: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the mean of all V rows [D]."""
        return self.ranks.all_reduce_sum(table.sum(0, dtype=dtype))[0] / self.words

    def own_entries(self, logits: Tensor, words: Tensor) -> Tensor:
        """Return the entry of each row of `logits` [C, V / R] at its word, 0 where another rank holds it [C]."""
        row, held = self.place(words)
        return logits.gather(1, row.unsqueeze(1)).squeeze(1).where(held, 0)

    def below_largest(self, *logits: Tensor) -> list[Tensor]:
        """Return logits [C, V / R] less the largest of their row on any rank, so that no exponential overflows."""
        largest = self.ranks.all_reduce_max(*(each.amax(1) for each in logits))
        return [each - top.unsqueeze(1) for each, top in zip(logits, largest, strict=True)]
