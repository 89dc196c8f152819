"""The passes of `passes` as Triton kernels, for a GPU: a row of logits is read twice, and G is written in its place.

A program has one row (`triton_kernels`), or one target and a block of columns (`triton_teacher`); nothing is added
atomically, so that the same numbers give the same bits. A kernel is compiled when it is first launched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError
from tiedlm.losses import triton_kernels, triton_teacher
from tiedlm.losses.passes import Sink, Student, Teacher, dense
from tiedlm.native.triton_runs import missing_triton, power_of_two

BLOCK = 4096
"""Columns of a row at one time."""
TEACHER_BLOCK = 512
"""Columns at one time where rows are summed: few, as a chunk of one frequent word has no other work to share out."""
BY = "Triton's passes"
BIAS_TILE = (16, 128)
"""Rows and columns at one time where the gradient of the bias is summed over all rows."""


class TritonPasses:
    """`passes.Passes` as Triton kernels; rows may lie apart, columns are neighbours.

    Args:
        block: most columns of a row at one time, a power of two.

    Raises:
        ArgumentError: without Triton, or for another block; from the passes for a device without it, or for columns
            that lie apart.
    """

    def __init__(self, block: int = BLOCK) -> None:
        if block < 1 or block & (block - 1):
            raise ArgumentError(f"block is {block}, but must be a power of two: leave it out for {BLOCK}.")
        _check_runs("cuda")
        self.block = block

    def cross_entropy(self, student: Student, wide: torch.dtype, sink: Sink | None) -> Tensor:
        """Return J."""
        (C, V), block = student.logits.shape, self._block(student.logits)
        losses, hard = student.logits.new_empty(C, dtype=wide), student.logits.new_empty(C, 3, dtype=wide)
        read = _read(student)
        _launch(triton_kernels.cross_entropy, (C,), block, losses, hard, *read, V)
        if sink is not None:
            self._add_bias_gradient(student, hard, sink)
            _launch(triton_kernels.cross_entropy_gradient, (C,), block, hard, *read, sink.weights.contiguous(), V)
        return losses

    def augmented(
        self,
        student: Student,
        teacher: Teacher,
        temperature: float,
        gamma: float,
        wide: torch.dtype,
        sink: Sink | None,
    ) -> tuple[Tensor, Tensor]:
        """Return J and KL(y~ || y^)."""
        soft, entropy = self._soft_targets(teacher, temperature, wide)
        if sink is not None and sink.through:
            self._store_at_teacher(student, teacher, soft, sink.weights, temperature, gamma)
        (C, V), block = student.logits.shape, self._block(student.logits)
        losses, divergences, hard, softened = (soft.new_empty(size) for size in (C, C, (C, 3), (C, 2)))
        read, coolness, of_row = _read(student), 1 / temperature, teacher.of_row.contiguous()
        arguments = (hard, softened, *read, *_rows(soft), entropy, of_row, V, coolness)
        _launch(triton_kernels.augmented, (C,), block, losses, divergences, *arguments)
        if sink is not None:
            self._add_bias_gradient(student, hard, sink)
            arguments = (hard, softened, *read, sink.weights.contiguous(), *_rows(soft), of_row, V, coolness, gamma)
            _launch(triton_kernels.augmented_gradient, (C,), block, *arguments)
        return losses, divergences

    def _soft_targets(self, teacher: Teacher, temperature: float, wide: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return y~ [U, V] and its entropy [U]."""
        logits = teacher.logits
        (U, V), block = logits.shape, self._block(logits)
        soft, entropies = logits.new_empty(U, V, dtype=wide), logits.new_empty(U, dtype=wide)
        arguments = (soft, entropies, *_rows(logits), _whole(teacher.mask), V, 1 / temperature)
        _launch(triton_teacher.soft_targets, (U,), block, *arguments)
        return soft, entropies

    def _store_at_teacher(
        self,
        student: Student,
        teacher: Teacher,
        soft: Tensor,
        weights: Tensor,
        temperature: float,
        gamma: float,
    ) -> None:
        """Store R in place of the teacher's logits."""
        (U, V), block = teacher.logits.shape, min(TEACHER_BLOCK, self._block(teacher.logits))
        starts = torch.searchsorted(teacher.of_row.contiguous(), torch.arange(U + 1, device=weights.device))
        grid = (U, -(-V // block))
        rows = (*_rows(teacher.logits), *_rows(soft), *_rows(student.logits))
        arguments = (weights.new_empty(grid), *rows, weights.contiguous(), starts, V)
        _launch(triton_teacher.teacher_means, grid, block, *arguments)
        blocks = power_of_two(grid[1])
        _launch(triton_teacher.teacher_gradient, grid, block, *arguments, gamma / temperature, BLOCKS=blocks)

    def _block(self, logits: Tensor) -> int:
        """Return the columns at one time, after a check that the kernels can run where the logits are."""
        _check_runs(logits.device.type)
        return min(self.block, power_of_two(logits.shape[1]))

    def _add_bias_gradient(self, student: Student, hard: Tensor, sink: Sink) -> None:
        if sink.at_bias is None:
            return
        C, V = student.logits.shape
        rows, block = BIAS_TILE[0], min(BIAS_TILE[1], self._block(student.logits))
        arguments = (dense(sink.at_bias, BY), hard, *_read(student), sink.weights.contiguous(), C, V)
        _launch(triton_kernels.add_bias_gradient, (-(-V // block),), block, *arguments, ROWS=rows)


def _check_runs(device: str) -> None:
    missing = missing_triton(device)
    if missing is not None:
        raise ArgumentError(f"Triton's passes cannot run: {missing}. Install Triton beside a GPU, or use 'chunked'.")


def _launch(kernel: Callable[..., Any], grid: tuple[int, ...], block: int, *arguments: Any, **constants: int) -> None:
    """Run one program for each place of the grid, on the GPU where the first argument is."""
    with torch.cuda.device_of(arguments[0]):
        launched: Any = kernel
        launched[grid](*arguments, BLOCK=block, num_warps=min(max(block // 256, 1), 8), **constants)


def _rows(array: Tensor) -> tuple[Tensor, int]:
    """Return the array and the distance of its rows."""
    return dense(array, BY), array.stride(0)


def _whole(array: Tensor | None) -> Tensor | None:
    return None if array is None else array.contiguous()


def _read(student: Student) -> tuple[Tensor | int | None, ...]:
    return (*_rows(student.logits), _whole(student.bias), student.words.contiguous())
