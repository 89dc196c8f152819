"""One loss to compute, as the sweep over chunks of rows takes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tiedlm.losses.passes import Passes, PlainPasses

MOST_WEIGHT = 4096
"""Sum of a chunk's weights in the unit of float16: a sixteenth of its largest number, 65,504."""


def wide_type(tables: torch.dtype) -> torch.dtype:
    """Return the type of everything that is not the input of a matrix product."""
    return torch.promote_types(tables, torch.float32)


def kept_type(tables: torch.dtype) -> torch.dtype:
    """Return the type of gradients until the backward pass: the tables', or wide where a loss scale is yet to come."""
    return wide_type(tables) if tables == torch.float16 else tables


@dataclass(frozen=True)
class Problem:
    """One loss to compute: tensors without history and the options, already checked."""

    features: Tensor
    classifier: Tensor
    table: Tensor | None
    bias: Tensor | None
    rows: Tensor
    """Rows of the features that count, sorted by target [N']."""
    words: Tensor
    """Their targets [N']."""
    temperature: float
    gamma: float
    detach_target: bool
    chunk_rows: int
    """Rows of logits at one time, those of the soft targets included."""
    products: torch.dtype
    """Type of the inputs of matrix products."""
    vocabulary_mask: Tensor | None = None
    """Words that a soft target may name [V]."""
    center_table: bool = False
    passes: Passes = field(default_factory=PlainPasses)
    """What is done between the products."""

    @property
    def wide(self) -> torch.dtype:
        """Type of everything that is not the input of a matrix product."""
        return wide_type(self.classifier.dtype)

    @property
    def kept(self) -> torch.dtype:
        """Type of the gradients until the backward pass."""
        return kept_type(self.classifier.dtype)

    @property
    def rows_at_once(self) -> int:
        """Rows of features in a chunk: with soft targets half of it, as each row may bring a target of its own."""
        return self.chunk_rows if self.gamma == 0 else max(self.chunk_rows // 2, 1)

    def chunks(self) -> Iterator[slice]:
        """Yield equal chunks of the rows, so that the last one is not a sliver."""
        rows = len(self.rows)
        count = -(-rows // self.rows_at_once)
        for index in range(count):
            yield slice(index * rows // count, (index + 1) * rows // count)

    def in_range(self, weights: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Return the weights in a unit in which G and R suit the products' type, and the unit (None: 1).

        Entries of G about 1/V, times the weight 1/N of a mean, are below what float16 can hold. Sums over the rows of a
        chunk, as R and G' H are, may be above it where many rows have one target, and no loss scale would help, as it
        is part of the weights. In the unit the weights of a chunk come to `MOST_WEIGHT` at most, so that there is room
        for entries of h, and of gamma (L l - z) / tau, up to 16. All other types have float32's range.
        """
        if weights is None or self.products != torch.float16 or len(weights) == 0:
            return weights, None
        largest = torch.stack([weights[chunk].abs().sum() for chunk in self.chunks()]).amax()
        unit = (largest.to(torch.float32) / MOST_WEIGHT).where(largest > 0, 1)
        return weights / unit, unit
