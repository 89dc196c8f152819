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

Result = TypeVar("Result")
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Ranks:
    """The processes of a group; all must call the same methods in the same order.

    Every method raises a `RanksError` where another process has ended in the meantime.
    """

    group: dist.ProcessGroup | None
    """None: all processes."""
    rank: int
    world_size: int
    is_single: bool = False
    """There is no group: this process works by itself, and nothing is sent."""

    @classmethod
    def from_group(cls, group: dist.ProcessGroup | None) -> Ranks:
        """Return the ranks of a group, or refuse where there is none or this process is not in it."""
        if not (dist.is_available() and dist.is_initialized()):
            raise ArgumentError(
                "torch.distributed is not initialised, but work is to be split over its processes: call "
                "torch.distributed.init_process_group first, or work in one process without it."
            )
        rank = dist.get_rank(group)
        if rank < 0:
            raise ArgumentError("This process is not in the group: only the group's own processes may call.")
        return cls(group, rank, dist.get_world_size(group))

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, which acts for all where only one may."""
        return self.rank == 0

    def all_reduce_sum(self, *parts: Tensor) -> list[Tensor]:
        """Return the sum of each tensor over the ranks, in a single reduction; all are of one type."""
        return self._all_reduce(parts, dist.ReduceOp.SUM)

    def all_reduce_max(self, *parts: Tensor) -> list[Tensor]:
        """Return the maximum of each entry over the ranks, in a single reduction; all are of one type."""
        return self._all_reduce(parts, dist.ReduceOp.MAX)

    def all_gather(self, part: Tensor, dim: int) -> Tensor:
        """Return the parts of all ranks, which are of one shape, side by side along `dim` in the order of the ranks."""
        if self.is_single:
            return part
        parts = [torch.empty_like(part, memory_format=torch.contiguous_format) for _ in range(self.world_size)]
        with self._lost_rank_as_error():
            dist.all_gather(parts, part.contiguous(), self.group)
        return torch.cat(parts, dim)

    def any(self, *flags: bool) -> list[bool]:
        """Return for each flag whether it is set on any rank."""
        return [flag > 0 for flag in self.all_reduce_max(torch.tensor(flags, dtype=torch.float64))[0].tolist()]

    def on_rank0(self, work: Callable[[], object]) -> None:
        """Have rank 0 do some work while the others wait; where it fails, all have an error."""
        self.check_same(lambda: self.is_main and work(), key=lambda _: None)

    def broadcast_scalar(self, work: Callable[[], float]) -> float:
        """Return the number that rank 0 computes while the others wait; where it fails, all have an error."""
        number = self.check_same(lambda: work() if self.is_main else 0.0, key=lambda _: None)
        return self.all_reduce_sum(torch.tensor([number], dtype=torch.float64))[0].item()

    def check_same(
        self, work: Callable[[], Result], device: torch.device = CPU, key: Callable[[Result], object] | None = None
    ) -> Result:
        """Return what `work` returns here, once all ranks have returned the same; where one fails, all have an error.

        A rank that failed alone would let the others wait until they give up. What is compared is the `repr` of the
        result, or of its `key`.
        """
        result, compared, refusal = None, None, None
        try:
            result = work()
            compared = key(result) if key else result
        except Exception as error:  # whatever it is, the others have to hear of it
            refusal = error
        checksum = zlib.crc32(repr(compared).encode())
        word = torch.tensor([refusal is not None, checksum, -checksum], dtype=torch.float64, device=device)
        refused, highest, lowest = self.all_reduce_max(word)[0].tolist()
        if refusal is not None:
            raise refusal
        if refused:
            raise ArgumentError(
                f"Rank {self.rank} of {self.world_size} stops, as another rank refuses its arguments or fails: see "
                "what that one says."
            )
        if highest != -lowest:
            raise ArgumentError(
                f"Rank {self.rank} of {self.world_size} was not asked for the same as the others, but all must be, "
                f"except for their own part of the work. Here it is {compared}: compare with what the other ranks say."
            )
        return result  # pyright: ignore[reportReturnType] - `work` has returned it, as nothing was refused

    def _all_reduce(self, parts: tuple[Tensor, ...], operation: dist.ReduceOp.RedOpType) -> list[Tensor]:
        flat = torch.cat([part.reshape(-1) for part in parts])
        if not self.is_single:
            with self._lost_rank_as_error():
                dist.all_reduce(flat, operation, self.group)
        pieces = flat.split([part.numel() for part in parts])
        return [piece.view(part.shape) for piece, part in zip(pieces, parts, strict=True)]

    @contextmanager
    def _lost_rank_as_error(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise RanksError(f"Rank {self.rank} of {self.world_size} has lost another rank ({reason}).") from error


SINGLE = Ranks(None, 0, 1, is_single=True)
"""This process on its own, without a group."""
