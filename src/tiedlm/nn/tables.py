"""Word tables: one parameter that embeds and classifies, and its untied twin under the same interface.

Tied (the paper's section 4): the classifier is the transpose of the word vectors, and there is no output bias unless it
is asked for. Both classes store words by rows, [V, D].
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tiedlm.errors import refuse_double_backward


class WordTables(nn.Module):
    """What a model embeds by, and what the loss reads; `TiedTable` and `UntiedTables` make it."""

    weight: nn.Parameter
    """Classifier W [V, features]; where tied, the word vectors too."""
    embedding: nn.Parameter | None
    """Word vectors L [V, D]; None where tied."""
    output_bias: nn.Parameter | None

    def __init__(self) -> None:
        super().__init__()
        self._fused: list[Tensor] | None = None
        """Within `fused_embedding_grad`: the table that the loss reads, once words have been embedded."""

    @property
    def vectors(self) -> Tensor:
        """Word vectors L [V, D]."""
        return self.weight if self.embedding is None else self.embedding

    @property
    def classifier(self) -> Tensor:
        """Classifier W [V, features]; the same parameter as `vectors` where tied."""
        return self._fused[0] if self._fused and self.embedding is None else self.weight

    @property
    def loss_table(self) -> Tensor | None:
        """What the loss takes as `table`: the word vectors, or None where they are the classifier."""
        return self._fused[0] if self._fused and self.embedding is not None else self.embedding

    @property
    def bias(self) -> Tensor | None:
        """Output bias b [V], or None."""
        return self.output_bias

    def embed(self, tokens: Tensor) -> Tensor:
        """Return the vectors of word ids [...] as [..., D] (eq. 2.1)."""
        if self._fused is None or self._fused or not torch.is_grad_enabled():
            return F.embedding(tokens, self.vectors)
        vectors, table = cast("tuple[Tensor, Tensor]", _FusedEmbedding.apply(self.vectors, tokens))
        self._fused.append(table)
        return vectors

    def classify(self, features: Tensor) -> Tensor:
        """Return logits [..., V] of features [..., features], with the bias where there is one."""
        return F.linear(features, self.weight, self.output_bias)

    @contextmanager
    def fused_embedding_grad(self) -> Iterator[None]:
        """Within, the first embedding and the table that the loss reads share one array of gradients [V, D].

        Two uses of one parameter cost autograd a second array of zeros and a sum. The table (`classifier` where tied,
        else `loss_table`) must be read by the loss alone, whose gradient is changed in place. On a CPU, the gradient of
        word vectors that the loss does not read is sparse: of the embedded words alone.
        """
        self._fused = []
        try:
            yield
        finally:
            self._fused = None


@final
class TiedTable(WordTables):
    """One table as word vectors and classifier (W = L transposed, b = 0).

    Args:
        vocab_size: V.
        width: D, the width of the word vectors and of the features.
        bias: add an output bias, which the paper's model does not have.
    """

    def __init__(self, vocab_size: int, width: int, *, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, width).uniform_(-0.1, 0.1))
        self.embedding = None
        self.output_bias = nn.Parameter(torch.zeros(vocab_size)) if bias else None


@final
class UntiedTables(WordTables):
    """Word vectors and a separate classifier with output bias.

    Args:
        vocab_size: V.
        width: D of the word vectors.
        features: width of the features.
    """

    def __init__(self, vocab_size: int, width: int, features: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(vocab_size, width).uniform_(-0.1, 0.1))
        self.weight = nn.Parameter(torch.empty(vocab_size, features).uniform_(-0.1, 0.1))
        self.output_bias = nn.Parameter(torch.zeros(vocab_size))


class _FusedEmbedding(torch.autograd.Function):
    """Vectors of words, and the table itself: one node, whose gradient is one array."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(tokens)
        ctx.set_materialize_grads(False)
        ctx.shape, ctx.sparse = weight.shape, weight.device.type == "cpu"
        return F.embedding(tokens, weight), weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, vectors_grad: Tensor | None, table_grad: Tensor | None) -> tuple[Tensor | None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        refuse_double_backward("word tables within fused_embedding_grad give", "them outside of it")
        if vectors_grad is None:
            return table_grad, None
        (tokens,) = ctx.saved_tensors
        rows, values = tokens.flatten(), vectors_grad.flatten(0, -2)
        if table_grad is None and ctx.sparse:
            return _sparse_rows(rows, values, ctx.shape), None
        table_grad = values.new_zeros(ctx.shape) if table_grad is None else table_grad
        return table_grad.index_add_(0, rows, values), None


def _sparse_rows(rows: Tensor, values: Tensor, shape: torch.Size) -> Tensor:
    """Return the sparse table [V, D] that holds in each row the sum of its values [N, D]."""
    distinct, index = rows.unique(return_inverse=True)
    sums = values.new_zeros(len(distinct), values.shape[1]).index_add_(0, index, values)
    _drain_sparse_warning()
    return torch.sparse_coo_tensor(distinct[None], sums, shape, is_coalesced=True, check_invariants=False)


@functools.cache
def _drain_sparse_warning() -> None:
    """Drop a warning that PyTorch 2.11 gives once a process, even with `check_invariants=False`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.sparse_coo_tensor(torch.zeros(1, 0, dtype=torch.int64), torch.zeros(0), (1,), check_invariants=False)
