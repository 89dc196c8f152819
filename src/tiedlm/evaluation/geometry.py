"""How the word tables of a trained model lie: norms, directions, and the subspaces of an untied pair."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from tiedlm.nn.model import LanguageModel
from tiedlm.theory.collapse import Spread, spread
from tiedlm.theory.distance import chance_distance, principal_cosines, subspace_distance


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
