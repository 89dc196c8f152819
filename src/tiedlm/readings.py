"""The two readings of a word table, the vectors of some words and the table itself, with one gradient for both."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


class TableReader:
    """Reads a table: within `as_one`, the first words' vectors and the table itself are one node of the graph.

    Its backward pass adds the vectors' gradients to rows of the table's, where two readings of a parameter cost
    another array [V, D] of zeros and a sum. Where the table itself was not read, no such array is made at all.
    """

    def __init__(self) -> None:
        self._table: list[Tensor] | None = None
        """Within `as_one`: the table, once words have been looked up for a gradient."""

    def whole(self, weight: Tensor) -> Tensor:
        """Return the table itself."""
        return self._table[0] if self._table else weight

    def embed(self, tokens: Tensor, weight: Tensor) -> Tensor:
        """Return the vectors of word ids [...] as [..., D]."""
        if self._table is None or self._table or not torch.is_grad_enabled():
            return F.embedding(tokens, weight)
        vectors, table = cast("tuple[Tensor, Tensor]", _Readings.apply(weight, tokens))
        self._table.append(table)
        return vectors

    @contextmanager
    def as_one(self) -> Iterator[None]:
        """Within, the readings after each other are one node."""
        self._table = []
        try:
            yield
        finally:
            self._table = None


class _Readings(torch.autograd.Function):
    """Both readings of a table: vectors of words, and the table itself."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(tokens)
        ctx.set_materialize_grads(False)
        ctx.shape, ctx.sparse = weight.shape, weight.device.type == "cpu"
        return F.embedding(tokens, weight), weight.view_as(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *arriving: Tensor | None) -> tuple[Tensor | None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        of_vectors, of_table = arriving  # None, where nothing depends on it
        if of_vectors is None:
            return of_table, None
        (tokens,) = ctx.saved_tensors
        rows, values = tokens.flatten(), of_vectors.flatten(0, -2)
        if of_table is None and ctx.sparse:
            return _of_rows(rows, values, ctx.shape), None
        whole = values.new_zeros(ctx.shape) if of_table is None else of_table
        return whole.index_add_(0, rows, values), None


def _of_rows(rows: Tensor, values: Tensor, shape: torch.Size) -> Tensor:
    """Return the sparse table [V, D] that has in each row the sum of the values [N, D] that are for it."""
    distinct, place = rows.unique(return_inverse=True)
    sums = values.new_zeros(len(distinct), values.shape[1]).index_add_(0, place, values)
    _hear_out_old_releases()
    return torch.sparse_coo_tensor(distinct[None], sums, shape, is_coalesced=True, check_invariants=False)


@functools.cache
def _hear_out_old_releases() -> None:
    """Let pass what PyTorch 2.11 says once in a process, also to whom it need not: that nothing is checked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.sparse_coo_tensor(torch.zeros(1, 0, dtype=torch.int64), torch.zeros(0), (1,), check_invariants=False)
