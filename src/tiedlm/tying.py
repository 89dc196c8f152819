"""Word tables: one parameter read in two ways, and its untied twin with the same interface.

Tied (the paper's section 4): the classifier is the transpose of the word vectors and there is no output bias, unless it
is asked for. Both classes store words by rows, [V, D].
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class WordTables(Protocol):
    """What a model and the loss read: the same for tied and untied tables."""

    @property
    def vectors(self) -> Tensor:
        """Word vectors L [V, D]."""
        ...

    @property
    def classifier(self) -> Tensor:
        """Classifier W [V, features]."""
        ...

    @property
    def bias(self) -> Tensor | None:
        """Output bias b [V], or None."""
        ...

    @property
    def separate_vectors(self) -> Tensor | None:
        """What the loss takes as `table`: the word vectors, or None where they are the classifier."""
        ...

    def embed(self, tokens: Tensor) -> Tensor:
        """Return the vectors of word ids [...] as [..., D] (eq. 2.1)."""
        ...

    def one_gradient(self) -> AbstractContextManager[None]:
        """Within, word vectors and the table that the loss reads share one array of gradients, where they are one.

        On a CPU the gradient of word vectors that the loss does not read is sparse: of the words looked up alone.
        """
        ...


class TiedTable(nn.Module):
    """One table as word vectors and classifier (W = L transposed, b = 0).

    Args:
        words: V.
        width: D, the width of the word vectors and of the features.
        bias: give the classifier an output bias, which the paper's has not.
    """

    def __init__(self, words: int, width: int, *, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(words, width).uniform_(-0.1, 0.1))
        self.output_bias = nn.Parameter(torch.zeros(words)) if bias else None
        self._read = _Read()

    @property
    def vectors(self) -> Tensor:
        """Word vectors L [V, D]."""
        return self.weight

    @property
    def classifier(self) -> Tensor:
        """Classifier W [V, D]: the same parameter as `vectors`."""
        return self._read.whole(self.weight)

    @property
    def bias(self) -> Tensor | None:
        """Output bias b [V], or None: the paper's tied classifier has none."""
        return self.output_bias

    @property
    def separate_vectors(self) -> Tensor | None:
        """None: the loss takes the classifier as table."""
        return None

    def embed(self, tokens: Tensor) -> Tensor:
        """Return the vectors of word ids [...] as [..., D] (eq. 2.1)."""
        return self._read.embed(tokens, self.weight)

    def classify(self, features: Tensor) -> Tensor:
        """Return logits [..., V] of features [..., D], with the bias where there is one."""
        return F.linear(features, self.weight, self.output_bias)

    def one_gradient(self) -> AbstractContextManager[None]:
        """Within, the classifier must be read by the loss alone, whose gradient nobody else holds."""
        return self._read.as_one()


class _Read:
    """How a table is read: within `as_one`, the first words' vectors and the table itself are one node of the graph.

    Its backward pass adds the vectors' gradients to rows of the table's, where two readings of a parameter cost
    another array [V, D] of zeros and a sum. Where the table itself was not read, no such array is made at all.
    """

    def __init__(self) -> None:
        self._table: list[Tensor] | None = None
        """Within `as_one`: the table, once words have been looked up."""

    def whole(self, weight: Tensor) -> Tensor:
        """Return the table itself."""
        return self._table[0] if self._table else weight

    def embed(self, tokens: Tensor, weight: Tensor) -> Tensor:
        """Return the vectors of word ids [...] as [..., D]."""
        if self._table is None or self._table:
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
    return torch.sparse_coo_tensor(distinct[None], sums, shape, is_coalesced=True, check_invariants=False)


class UntiedTables(nn.Module):
    """Word vectors and a classifier of their own, with output bias.

    Args:
        words: V.
        width: D of the word vectors.
        features: width of the features.
    """

    def __init__(self, words: int, width: int, features: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(words, width).uniform_(-0.1, 0.1))
        self.weight = nn.Parameter(torch.empty(words, features).uniform_(-0.1, 0.1))
        self.output_bias = nn.Parameter(torch.zeros(words))
        self._read = _Read()

    @property
    def vectors(self) -> Tensor:
        """Word vectors L [V, D]."""
        return self.embedding

    @property
    def classifier(self) -> Tensor:
        """Classifier W [V, features]."""
        return self.weight

    @property
    def bias(self) -> Tensor | None:
        """Output bias b [V]."""
        return self.output_bias

    @property
    def separate_vectors(self) -> Tensor | None:
        """Word vectors: the loss takes them as table."""
        return self._read.whole(self.embedding)

    def embed(self, tokens: Tensor) -> Tensor:
        """Return the vectors of word ids [...] as [..., D] (eq. 2.1)."""
        return self._read.embed(tokens, self.embedding)

    def classify(self, features: Tensor) -> Tensor:
        """Return logits [..., V] of features [..., features], bias included."""
        return F.linear(features, self.weight, self.output_bias)

    def one_gradient(self) -> AbstractContextManager[None]:
        """Within, `separate_vectors` must be read by the loss alone, whose gradient nobody else holds."""
        return self._read.as_one()
