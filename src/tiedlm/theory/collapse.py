"""Whether a table still spans its space, or has collapsed onto a few directions.

Two tables that have both collapsed can look close to each other, or far, for reasons that say nothing of the theory;
so these figures stand beside every distance.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How a table's rows lie in their space."""

    mean_norm: float
    """Mean over the words of |w_i|."""
    mean_cosine: float
    """Mean cosine between two different words: about 0 for rows in random directions, 1 where all are parallel."""
    effective_directions: float
    """(sum s_k^2)^2 / sum s_k^4 with s the singular values: D where all are equal, 1 where only one counts."""


def spread(table: Tensor) -> Spread:
    """Return how the rows of a table [V, D] lie, worked out in float64."""
    wide = table.detach().to("cpu", torch.float64)
    norms = wide.norm(dim=1)
    total = (wide / norms.clamp_min(torch.finfo(torch.float64).tiny)[:, None]).sum(0)
    words = len(wide)
    gram = wide.T @ wide
    return Spread(
        mean_norm=float(norms.mean()),
        mean_cosine=float((total.square().sum() - words) / (words * (words - 1))),
        effective_directions=float(gram.trace() ** 2 / gram.square().sum()),
    )
