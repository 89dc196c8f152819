"""The gradients of a chunked loss, while they are summed over the chunks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tiedlm.losses.problem import Problem

Gradients = tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]
"""Gradients of features, classifier, table and bias; None where it was not asked for."""


ALIGNED = 8
"""A width that is no multiple of it (650, 1500) costs a CPU a third of the speed of G' H: such sums are padded."""
MOST_PADDED_BYTES = 128 * 2**20
"""Size up to which it is done, as the padding is taken off by a copy."""
MOST_TURNED_BYTES = 32 * 2**20
"""Size up to which a sum is taken from the transposed product (`_outer`); larger ones are slow to turn."""


class TableSum:
    """The gradient of a table while it is summed [V, D]; the first product makes it, so that no zeros are added to."""

    def __init__(self, table: Tensor, dtype: torch.dtype) -> None:
        self.table, self.dtype = table, dtype
        small = table.numel() * dtype.itemsize <= MOST_PADDED_BYTES
        self.padding = -table.shape[1] % ALIGNED if small and table.device.type == "cpu" else 0
        self.total: Tensor | None = None

    def add_outer(self, left: Tensor, right: Tensor) -> None:
        """Add left' right, of left [C, V] and right [C, D]."""
        right = F.pad(right, (0, self.padding)) if self.padding else right
        if self.total is None:
            self.total = _outer(left, right, self.dtype)
        elif self.dtype == left.dtype:
            self.total.addmm_(left.T, right)
        else:
            self.total += _outer(left, right, self.dtype)

    def add_rows(self, rows: Tensor, values: Tensor) -> None:
        """Add values [U, D] to the rows [U]."""
        self.whole().index_add_(0, rows, values)

    def whole(self) -> Tensor:
        """Return the sum so far, perhaps as a view of a wider one; zeros before anything was added."""
        if self.total is None:
            self.total = torch.zeros_like(self.table, dtype=self.dtype)
        return self.total[:, : self.table.shape[1]]


def _outer(left: Tensor, right: Tensor, dtype: torch.dtype) -> Tensor:
    """Return left' right [V, D].

    A CPU's bfloat16 product turns its left factor by itself, G [C, V], for a third of its time. The product of the
    turned right factor leaves only the result [V, D] to turn, which is less where D < C.
    """
    few = left.shape[1] * right.shape[1] * dtype.itemsize <= MOST_TURNED_BYTES and right.shape[1] < len(left)
    if few and left.dtype == torch.bfloat16 and left.device.type == "cpu":
        return torch.mm(right.T.contiguous(), left).T.to(dtype, memory_format=torch.contiguous_format)
    return torch.mm(left.T, right).to(dtype)


class GradientSums:
    """The gradients while they are summed over chunks, in the wide type."""

    def __init__(self, problem: Problem, wanted: Sequence[bool]) -> None:
        def zeros(like: Tensor | None, asked: bool) -> Tensor | None:
            return torch.zeros_like(like, dtype=problem.wide) if asked and like is not None else None

        def table(like: Tensor, asked: bool) -> TableSum | None:
            return TableSum(like, problem.wide) if asked else None

        self.features = zeros(problem.features, wanted[0])
        self.classifier = table(problem.classifier, wanted[1])
        self.table = self.classifier if problem.table is None else table(problem.table, wanted[2])
        self.bias = zeros(problem.bias, wanted[3])
        self.mean = problem.classifier.new_zeros((), dtype=problem.wide)
        """Gradient of the tables' mean, where the table is centred [D] or ()."""

    def gradients(self, problem: Problem, unit: Tensor | None) -> Gradients:
        """Return the sums, times `unit`, in the type they are kept in; each word has its part in the mean."""
        if problem.center_table and self.table is not None:
            self.table.whole().add_(self.mean / len(self.table.table))
        classifier = None if self.classifier is None else self.classifier.whole()
        table = None if self.table is None or self.table is self.classifier else self.table.whole()
        sums = (self.features, classifier, table, self.bias)
        features, classifier, table, bias = (_kept(total, problem.kept, unit) for total in sums)
        return features, classifier, table, bias


def _kept(total: Tensor | None, dtype: torch.dtype, unit: Tensor | None) -> Tensor | None:
    if total is not None and unit is not None:
        total *= unit
    return None if total is None else total.to(dtype).contiguous()
