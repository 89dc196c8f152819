"""Word tables: one parameter read in two ways, and its untied twin with the same interface.

Tied (the paper's section 4): the classifier is the transpose of the word vectors and there is no output bias, unless it
is asked for. Both classes store words by rows, [V, D].
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tiedlm.readings import TableReader


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
        self._read = TableReader()

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
        self._read = TableReader()

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
