"""How word tables lie: the distance between the column spaces of two (Inan et al. 2017, appendix B), and their spread.

For X and Y [V, D] let U and Q be orthonormal bases of their column spaces (reduced QR). With R = Q - U U' Q, what U
leaves of Q, and theta_i the principal angles, whose cosines are the singular values of U' Q:

    d(X, Y)^2 = |R|_F^2 / D = 1/D sum_i sin(theta_i)^2

0 where the spaces are the same, 1 where each is orthogonal to the other, all in float64. It does not change when the
columns of X or Y are replaced by others that span the same space, nor when X and Y change places. Of two independent
random spaces d^2 has the mean 1 - D/V, and d is close to its root (`chance_distance`). The form by angles loses what is
small, since 1 - cos^2 cannot tell a distance below 1e-8 from 0; the residual form does not.

Two tables that have both collapsed onto a few directions can look close to each other, or far, for reasons that say
nothing of the theory; so a table's `Spread` stands beside every distance.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError
from tiedlm.nn.model import LanguageModel


def subspace_distance(first: Tensor, second: Tensor) -> float:
    """Return d(X, Y) in [0, 1], by the residual R.

    Args:
        first: X [V, D], of full column rank.
        second: Y [V, D], of full column rank.

    Raises:
        ArgumentError: other shapes than [V, D] twice with D <= V, numbers that are not finite, or columns that are
            linearly dependent: they span fewer directions than D, and the distance is not defined.
    """
    basis, other = _bases(first, second)
    residual = other - basis @ (basis.T @ other)
    return min(1.0, float(residual.square().sum() / residual.shape[1]) ** 0.5)


def principal_cosines(first: Tensor, second: Tensor) -> Tensor:
    """Return the cosines of the principal angles between the column spaces [D], largest first, float64 on the CPU."""
    basis, other = _bases(first, second)
    return torch.linalg.svdvals(basis.T @ other).clamp(max=1)


def centred(table: Tensor) -> Tensor:
    """Return a table [V, D] less its mean over the words, in float64.

    Where logits are W h, softmax stays as it is when one vector is added to every row of W: so a training learns W but
    for what its rows share, and the theory can be held against no more than that.
    """
    wide = table.detach().double()
    return wide - wide.mean(dim=0)


def chance_distance(words: int, width: int) -> float:
    """Return sqrt(1 - D/V): the root of the mean d^2 of two independent random spaces.

    Args:
        words: V.
        width: D, from 1 to V.

    Raises:
        ArgumentError: a width out of range.
    """
    if not 1 <= width <= words:
        raise ArgumentError(f"width is {width}, but must be from 1 to {words}, the number of words.")
    return math.sqrt(1 - width / words)


def _bases(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    if first.dim() != 2 or first.shape != second.shape or not 1 <= first.shape[1] <= first.shape[0]:
        raise ArgumentError(
            f"The tables have the shapes {list(first.shape)} and {list(second.shape)}, but must both be [words, width] "
            "with the same numbers, and not be wider than they have words."
        )
    return _basis("first", first), _basis("second", second)


def _basis(name: str, table: Tensor) -> Tensor:
    """Return an orthonormal basis [V, D] of the column space."""
    wide = table.detach().to("cpu", torch.float64)
    if not bool(wide.isfinite().all()):
        raise ArgumentError(f"The {name} table has entries that are not finite. Was its training stopped in time?")
    basis, triangle = torch.linalg.qr(wide)
    scales = torch.linalg.svdvals(triangle)
    rank = int((scales > scales[0] * len(wide) * torch.finfo(torch.float64).eps).sum())
    if rank < len(scales):
        raise ArgumentError(
            f"The {name} table spans {rank} directions, but has {len(scales)} columns: some are linearly dependent, "
            "and no distance is defined. Compare tables that were trained from random weights."
        )
    return basis


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


@dataclass(frozen=True, kw_only=True)
class Subspaces:
    """The column spaces of word vectors L and classifier W, where these are two tables of one width below V."""

    distance: float
    """Subspace distance (appendix B): 0 the same space, 1 orthogonal."""
    chance: float
    """sqrt(1 - D/V): what two random spaces have."""
    cosine_deciles: tuple[float, ...]
    """Cosines of the principal angles: the largest, every tenth part of them, the smallest."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """How the tables of a model lie."""

    vectors: Spread
    """Of the word vectors L; of a tied model, of its one table."""
    classifier: Spread | None
    """Of the classifier W; None where it is L."""
    subspaces: Subspaces | None
    """L and W set against each other; None for a tied model, tables of two widths, or words too few for a distance."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


def table_geometry(model: LanguageModel) -> Geometry:
    """Return how the tables of a model lie, worked out in float64.

    Raises:
        ArgumentError: a table with entries that are not finite, or with linearly dependent columns.
    """
    vectors, classifier = model.table.cpu(), model.classifier.cpu()
    if model.tables.loss_table is None:
        return Geometry(vectors=spread(vectors), classifier=None, subspaces=None)
    comparable = vectors.shape == classifier.shape and vectors.shape[1] < len(vectors)
    return Geometry(
        vectors=spread(vectors),
        classifier=spread(classifier),
        subspaces=_subspaces(vectors, classifier) if comparable else None,
    )


def _subspaces(vectors: Tensor, classifier: Tensor) -> Subspaces:
    cosines = principal_cosines(vectors, classifier)
    deciles = torch.quantile(cosines, torch.linspace(1, 0, 11, dtype=torch.float64))
    return Subspaces(
        distance=subspace_distance(vectors, classifier),
        chance=chance_distance(*vectors.shape),
        cosine_deciles=tuple(deciles.tolist()),
    )
