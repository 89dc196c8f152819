"""Word tables split by rows over the processes of a group: what a rank holds, and how it reaches the others."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from tiedlm.errors import ArgumentError

Call = TypeVar("Call")


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
class Ranks:
    """The processes of a group, seen from one of them; all must call the same methods in the same order."""

    group: dist.ProcessGroup | None
    """None: all processes."""
    rank: int
    count: int

    @classmethod
    def of(cls, group: dist.ProcessGroup | None) -> Ranks:
        """Return the ranks of a group, or refuse where there is none or this process is not in it."""
        if not (dist.is_available() and dist.is_initialized()):
            raise ArgumentError(
                "torch.distributed is not initialised, but the words are to be split over its processes: call "
                "torch.distributed.init_process_group first, or use linear_augmented_cross_entropy in one process."
            )
        rank = dist.get_rank(group)
        if rank < 0:
            raise ArgumentError("This process is not in the group that was given: only the group's own may call.")
        return cls(group, rank, dist.get_world_size(group))

    def summed(self, *parts: Tensor) -> list[Tensor]:
        """Return the sum of each tensor over the ranks, in a single reduction; all are of one type."""
        return self._reduced(parts, dist.ReduceOp.SUM)

    def largest(self, *parts: Tensor) -> list[Tensor]:
        """Return the largest of each entry over the ranks, in a single reduction; all are of one type."""
        return self._reduced(parts, dist.ReduceOp.MAX)

    def agree(self, check: Callable[[], Call], device: torch.device) -> Call:
        """Return what `check` finds that this rank was asked for; on every rank an error where one rank's check fails.

        A rank that left alone would let the others wait for it until they give up. For the same reason all must be
        asked for the same: what `check` returns is compared by its `repr`.
        """
        found, refusal = None, None
        try:
            found = check()
        except Exception as error:  # whatever it is, the others have to hear of it
            refusal = error
        checksum = zlib.crc32(repr(found).encode())
        word = torch.tensor([refusal is not None, checksum, -checksum], dtype=torch.float64, device=device)
        refused, highest, lowest = self.largest(word)[0].tolist()
        if refusal is not None:
            raise refusal
        if refused:
            raise ArgumentError(f"Rank {self.rank} of {self.count} stops, as another rank refuses its arguments.")
        if highest != -lowest:
            raise ArgumentError(
                f"Rank {self.rank} of {self.count} was not asked for the same as the others, but all must be, except "
                f"for the rows that they hold. Here it is {found}: compare with what the other ranks say."
            )
        assert found is not None
        return found

    def _reduced(self, parts: tuple[Tensor, ...], operation: dist.ReduceOp.RedOpType) -> list[Tensor]:
        joined = torch.cat([part.reshape(-1) for part in parts])
        dist.all_reduce(joined, operation, self.group)
        pieces = joined.split([part.numel() for part in parts])
        return [piece.view(part.shape) for piece, part in zip(pieces, parts, strict=True)]


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
        return cls(ranks, shard_of(words, ranks.rank, ranks.count), words)

    def place(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """Return the row of each word here, and whether it is held here; where it is not, the row is any."""
        held = (words >= self.held.start) & (words < self.held.stop)
        return (words - self.held.start).clamp(0, len(self.held) - 1), held

    def rows_of(self, table: Tensor, words: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the row of each word [U, D], each from the rank that holds it: the others add zeros."""
        row, held = self.place(words)
        return self.ranks.summed(table.index_select(0, row).to(dtype).where(held.unsqueeze(1), 0))[0]

    def mean_of(self, table: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the mean of all V rows [D]."""
        return self.ranks.summed(table.sum(0, dtype=dtype))[0] / self.words

    def own_entries(self, logits: Tensor, words: Tensor) -> Tensor:
        """Return the entry of each row of `logits` [C, V / R] at its word, 0 where another rank holds it [C]."""
        row, held = self.place(words)
        return logits.gather(1, row.unsqueeze(1)).squeeze(1).where(held, 0)

    def below_largest(self, *logits: Tensor) -> list[Tensor]:
        """Return logits [C, V / R] less the largest of their row on any rank, so that no exponential overflows."""
        largest = self.ranks.largest(*(each.amax(1) for each in logits))
        return [each - top.unsqueeze(1) for each, top in zip(logits, largest, strict=True)]
