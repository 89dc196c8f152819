"""The processes that work together over `torch.distributed`, seen from one of them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from tiedlm.errors import ArgumentError, RanksError

Found = TypeVar("Found")
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Ranks:
    """The processes of a group; all must call the same methods in the same order.

    A `RanksError` of any method says that another process has ended in the meantime.
    """

    group: dist.ProcessGroup | None
    """None: all processes."""
    rank: int
    count: int
    alone: bool = False
    """There is no group: this process works by itself, and nothing is sent."""

    @classmethod
    def of(cls, group: dist.ProcessGroup | None) -> Ranks:
        """Return the ranks of a group, or refuse where there is none or this process is not in it."""
        if not (dist.is_available() and dist.is_initialized()):
            raise ArgumentError(
                "torch.distributed is not initialised, but work is to be split over its processes: call "
                "torch.distributed.init_process_group first, or work in one process without it."
            )
        rank = dist.get_rank(group)
        if rank < 0:
            raise ArgumentError("This process is not in the group that was given: only the group's own may call.")
        return cls(group, rank, dist.get_world_size(group))

    @property
    def first(self) -> bool:
        """Whether this is the rank that acts for all where only one may."""
        return self.rank == 0

    def summed(self, *parts: Tensor) -> list[Tensor]:
        """Return the sum of each tensor over the ranks, in a single reduction; all are of one type."""
        return self._reduced(parts, dist.ReduceOp.SUM)

    def largest(self, *parts: Tensor) -> list[Tensor]:
        """Return the largest of each entry over the ranks, in a single reduction; all are of one type."""
        return self._reduced(parts, dist.ReduceOp.MAX)

    def joined(self, part: Tensor, dim: int) -> Tensor:
        """Return the parts of all ranks, which are of one shape, side by side along `dim` in the order of the ranks."""
        if self.alone:
            return part
        parts = [torch.empty_like(part, memory_format=torch.contiguous_format) for _ in range(self.count)]
        with self._together():
            dist.all_gather(parts, part.contiguous(), self.group)
        return torch.cat(parts, dim)

    def any(self, *here: bool) -> list[bool]:
        """Return of each answer whether any rank gives it."""
        return [found > 0 for found in self.largest(torch.tensor(here, dtype=torch.float64))[0].tolist()]

    def lead(self, work: Callable[[], object]) -> None:
        """Have the first rank do some work while the others wait; where it fails, all have an error."""
        self.agree(lambda: self.first and work(), same=lambda _: None)

    def number(self, work: Callable[[], float]) -> float:
        """Return the number that the first rank finds while the others wait; where it fails, all have an error."""
        found = self.agree(lambda: work() if self.first else 0.0, same=lambda _: None)
        return self.summed(torch.tensor([found], dtype=torch.float64))[0].item()

    def agree(
        self, check: Callable[[], Found], device: torch.device = CPU, same: Callable[[Found], object] | None = None
    ) -> Found:
        """Return what `check` finds that this rank was asked for; on every rank an error where one rank's check fails.

        A rank that left alone would let the others wait for it until they give up. For the same reason all must be
        asked for the same: what `check` returns, or what `same` takes from it, is compared by its `repr`.
        """
        found, told, refusal = None, None, None
        try:
            found = check()
            told = same(found) if same else found
        except Exception as error:  # whatever it is, the others have to hear of it
            refusal = error
        refused, differ = self._heard(refusal is not None, told, device)
        if refusal is not None:
            raise refusal
        if refused:
            raise ArgumentError(
                f"Rank {self.rank} of {self.count} stops, as another rank refuses its arguments or fails: see what "
                "that one says."
            )
        if differ:
            raise ArgumentError(
                f"Rank {self.rank} of {self.count} was not asked for the same as the others, but all must be, except "
                f"for their own part of the work. Here it is {told}: compare with what the other ranks say."
            )
        return found  # pyright: ignore[reportReturnType] - it is there, as nothing was refused

    def _heard(self, refusal: bool, told: object, device: torch.device) -> tuple[bool, bool]:
        """Return whether any rank refuses, and whether they were told different things."""
        checksum = zlib.crc32(repr(told).encode())
        word = torch.tensor([refusal, checksum, -checksum], dtype=torch.float64, device=device)
        refused, highest, lowest = self.largest(word)[0].tolist()
        return bool(refused), highest != -lowest

    def _reduced(self, parts: tuple[Tensor, ...], operation: dist.ReduceOp.RedOpType) -> list[Tensor]:
        joined = torch.cat([part.reshape(-1) for part in parts])
        if not self.alone:
            with self._together():
                dist.all_reduce(joined, operation, self.group)
        pieces = joined.split([part.numel() for part in parts])
        return [piece.view(part.shape) for piece, part in zip(pieces, parts, strict=True)]

    @contextmanager
    def _together(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise RanksError(f"Rank {self.rank} of {self.count} has lost another rank ({reason}).") from error


ALONE = Ranks(None, 0, 1, alone=True)
"""This process on its own, without a group."""
