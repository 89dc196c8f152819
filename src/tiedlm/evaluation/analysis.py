"""What a perplexity hides: figures by word frequency, features, tables, and where the probability goes, in one pass.

By frequency: ranks 1-10, 11-100, 101-1,000, 1,001-3,000 and the rest. A vocabulary is in the order of its counts, so a
word's rank is its id and one.

Tables: the distance between the column spaces of word vectors and classifier (Inan et al. 2017, appendix B). For X and
Y [V, D] with orthonormal bases U and Q of their column spaces (reduced QR) and principal angles theta_i:

    d(X, Y)^2 = |Q - U U' Q|_F^2 / D = 1/D sum_i sin(theta_i)^2

0 where the spaces are the same, 1 where each is orthogonal to the other, in float64; 1 - cos^2 could not tell a
distance below 1e-8 from 0. Tables that have collapsed onto a few directions can look close, or far, for reasons that
say nothing of the theory; so a table's `Spread` stands beside every distance.

Probability: the paper's Table 4 looks at four contexts and says that under REAL the words `<unk>`, "a", "an" and "the"
receive less probability, and the neighbours of the target more. Here each is a mean over all words of a text:

    frequent words    p(w | context), over the words of the text that are not w themselves; and over every word
    neighbours        the sum of p over the k words whose vectors are nearest to the target's
    target            p of the word that came

Standard errors allow for words near each other being alike. The text is cut into B blocks of contiguous words; a mean
over the words that count is a ratio of two sums over blocks, R = sum_b s_b / sum_b c_b, and its error that of a ratio:

    e_b = B (s_b - R c_b) / sum_b c_b        what block b has above its share
    standard error = sd(e_b) / sqrt(B)

Of two models on the same text, e_b of the one less e_b of the other gives the error of their difference: what both find
hard in a block cancels. The error reflects variation over text, not over seeds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tiedlm.data.text import Vocabulary
from tiedlm.errors import ArgumentError
from tiedlm.evaluation import EVERYWHERE, FREQUENT_WORDS, TARGET
from tiedlm.evaluation.perplexity import Score, ScoreSum, Window, predict_windows
from tiedlm.nn.model import LanguageModel

LAST_RANKS = (10, 100, 1_000, 3_000)
"""The last rank of every band of frequency but the last one."""

BLOCKS = 100
"""Blocks that a text is cut into: some hundred words each on the published test texts, and more."""
NORMAL_95 = 1.96
"""Standard errors on either side of an interval of 95 %."""
ROWS_AT_ONCE = 1024
"""Words whose cosines with all others are in memory at once."""


# ---- Tables


def subspace_distance(first: Tensor, second: Tensor) -> float:
    """Return d(X, Y) in [0, 1] of X and Y [V, D], D <= V.

    Raises:
        ArgumentError: numbers that are not finite, or columns that are linearly dependent: there is no distance.
    """
    return _distance(_basis("first", first), _basis("second", second))


def _distance(basis: Tensor, other: Tensor) -> float:
    residual = other - basis @ (basis.T @ other)
    return min(1.0, float(residual.square().sum() / residual.shape[1]) ** 0.5)


def _basis(name: str, table: Tensor) -> Tensor:
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


def chance_distance(words: int, width: int) -> float:
    """Return sqrt(1 - D/V): the root of the mean d^2 of two independent random spaces, of V words and width D."""
    return math.sqrt(1 - width / words)


def centred(table: Tensor) -> Tensor:
    """Return a table [V, D] less its mean over the words, in float64: softmax does not see what all rows share."""
    wide = table.detach().double()
    return wide - wide.mean(dim=0)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How a table's rows lie in their space, in float64."""

    mean_norm: float
    """Mean over the words of |w_i|."""
    mean_cosine: float
    """Mean cosine between two different words: about 0 for rows in random directions, 1 where all are parallel."""
    effective_directions: float
    """(sum s_k^2)^2 / sum s_k^4 with s the singular values: D where all are equal, 1 where only one counts."""


def spread(table: Tensor) -> Spread:
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
    chance: float
    """sqrt(1 - D/V): what two random spaces have."""
    cosine_deciles: tuple[float, ...]
    """Cosines of the principal angles: the largest, every tenth part of them, the smallest."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """How the word vectors L and the classifier W of a model lie, in float64."""

    vectors: Spread
    classifier: Spread | None
    """None where it is L."""
    subspaces: Subspaces | None
    """None for a tied model, tables of two widths, or words too few for a distance."""


def table_geometry(model: LanguageModel) -> Geometry:
    """Return how the tables of a model lie; raises as `subspace_distance`."""
    vectors, classifier = model.table.cpu(), model.classifier.cpu()
    if model.tables.loss_table is None:
        return Geometry(vectors=spread(vectors), classifier=None, subspaces=None)
    subspaces = None
    if vectors.shape == classifier.shape and vectors.shape[1] < len(vectors):
        basis, other = _basis("first", vectors), _basis("second", classifier)
        cosines = torch.linalg.svdvals(basis.T @ other).clamp(max=1)
        deciles = torch.quantile(cosines, torch.linspace(1, 0, 11, dtype=torch.float64))
        subspaces = Subspaces(
            distance=_distance(basis, other),
            chance=chance_distance(*vectors.shape),
            cosine_deciles=tuple(deciles.tolist()),
        )
    return Geometry(vectors=spread(vectors), classifier=spread(classifier), subspaces=subspaces)


@torch.inference_mode()
def nearest_words(vectors: Tensor, count: int) -> Tensor:
    """Return for each word the ids of the `count` others whose vectors [V, D] have the largest cosine with its own.

    Raises:
        ArgumentError: `count` is not in 1 to V - 1.
    """
    if not 1 <= count < len(vectors):
        raise ArgumentError(
            f"{count} neighbours were asked for, but a word has from 1 to {len(vectors) - 1:,}: all words but itself."
        )
    directions = F.normalize(vectors.float(), dim=1)
    parts = []
    for first in range(0, len(vectors), ROWS_AT_ONCE):
        cosines = directions[first : first + ROWS_AT_ONCE] @ directions.T
        rows = torch.arange(len(cosines), device=cosines.device)
        cosines[rows, rows + first] = -torch.inf
        parts.append(cosines.topk(count, dim=1).indices)
    return torch.cat(parts)


# ---- Probability


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over words, or the difference of two, and how sure it is."""

    mean: float
    standard_error: float
    words: int
    """Words that it is a mean over."""

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of 95 %, by the normal distribution."""
        return self.mean - NORMAL_95 * self.standard_error, self.mean + NORMAL_95 * self.standard_error


def estimates_to_json(estimates: Mapping[str, Estimate | None]) -> dict[str, Any]:
    return {
        name: estimate and {**asdict(estimate), "interval": list(estimate.interval)}
        for name, estimate in estimates.items()
    }


class BlockSums(NamedTuple):
    """One measure's sums over the words that count, and their number, in each block of a text."""

    sums: list[float]
    counts: list[int]


@final
class BlockMeans:
    """Means over a text of `words` words of several named measures of each, with their errors over at most `blocks`."""

    def __init__(self, names: Sequence[str], words: int, blocks: int = BLOCKS) -> None:
        self._names, self._words, self._seen = list(names), words, 0
        self._sums = torch.zeros(min(blocks, words), len(names), dtype=torch.float64)
        self._counts = torch.zeros_like(self._sums)

    def add(self, values: Tensor, counted: Tensor) -> None:
        """Take the next words of the text: their measures, and which of them count; both [T, measures]."""
        place = torch.arange(self._seen, self._seen + len(values)) * len(self._sums) // self._words
        values, counted = values.cpu().double(), counted.cpu()
        self._sums.index_add_(0, place, values.where(counted, 0))
        self._counts.index_add_(0, place, counted.double())
        self._seen += len(values)

    def by_block(self) -> dict[str, BlockSums]:
        pairs = zip(self._sums.T.tolist(), self._counts.T.long().tolist(), strict=True)
        return {name: BlockSums(*pair) for name, pair in zip(self._names, pairs, strict=True)}

    def estimates(self) -> dict[str, Estimate | None]:
        """Return the mean of each measure, by name; None for one that no word counted for."""
        return self._estimates(*self._linear())

    def differences(self, other: BlockMeans) -> dict[str, Estimate | None]:
        """Return the mean of each measure less that of `other`, which are the same measures over the same text."""
        (means, shares), (others, other_shares) = self._linear(), other._linear()
        return self._estimates(means - others, shares - other_shares)

    def _linear(self) -> tuple[Tensor, Tensor]:
        """Return R and e_b of each measure."""
        total = self._counts.sum(0)
        means = self._sums.sum(0) / total
        return means, len(self._sums) * (self._sums - means * self._counts) / total

    def _estimates(self, means: Tensor, shares: Tensor) -> dict[str, Estimate | None]:
        blocks = len(shares)
        errors = shares.std(0) / blocks**0.5 if blocks > 1 else torch.full_like(means, torch.inf)
        rows = zip(self._names, means.tolist(), errors.tolist(), self._counts.sum(0).int().tolist(), strict=True)
        return {
            name: Estimate(mean=mean, standard_error=error, words=count) if count else None
            for name, mean, error, count in rows
        }


def _word_mass(window: Window, frequent: Tensor, neighbours: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the measures of each word of a window, in the order of their names in `analyze`, and which words count."""
    probabilities, targets = window.logits.softmax(-1), window.targets
    frequent = frequent.to(targets.device)
    near = [probabilities.gather(1, ids.to(targets.device)[targets]).sum(1, keepdim=True) for ids in neighbours]
    of_words = probabilities[:, frequent]
    values = torch.cat([of_words, of_words, *near, probabilities.gather(1, targets[:, None])], dim=1)
    counted = torch.ones_like(values, dtype=torch.bool)
    counted[:, : len(frequent)] = targets[:, None] != frequent
    return values, counted


# ---- All of it


@dataclass(frozen=True, kw_only=True)
class BandFigures:
    """The words of one band of frequency."""

    ranks: str
    """First and last rank, as in `1,001-3,000`."""
    targets: int
    """How often one of them came in the text."""
    nll_nats: float | None
    """Mean -log p when one of them came."""
    squared_norm: float
    """Mean |l|^2 of their word vectors."""
    classifier_squared_norm: float | None
    """Mean |w|^2 of their rows of the classifier; None where it is the same table."""


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What a model does on a text."""

    score: Score
    bands: tuple[BandFigures, ...]
    """Most frequent words first."""
    feature_norm_squared: float
    """Mean |h|^2 over the words of the text."""
    geometry: Geometry
    mass: BlockMeans
    """Where the probability goes."""

    def to_json(self) -> dict[str, Any]:
        return {
            "score": self.score.to_json(),
            "bands": [asdict(band) for band in self.bands],
            "feature_norm_squared": self.feature_norm_squared,
            "geometry": asdict(self.geometry),
            "probability": estimates_to_json(self.mass.estimates()),
        }


def analyze(
    model: LanguageModel, vocabulary: Vocabulary, ids: np.ndarray[Any, Any], neighbours: Mapping[str, Tensor]
) -> Analysis:
    """Return what a model does on a text, read under the protocol of `perplexity`, as are `model` and `ids`.

    Args:
        vocabulary: the model's; words of `FREQUENT_WORDS` that it lacks are not measured.
        neighbours: name → ids of the nearest words of each word [V, k], whose probability is summed.

    Raises:
        CorpusError: a text without a word.
        ArgumentError: a table that is not finite or spans too few directions.
    """
    present = [word for word in FREQUENT_WORDS if word in vocabulary.id_of]
    everywhere = [name for word, name in zip(FREQUENT_WORDS, EVERYWHERE, strict=True) if word in present]
    mass, frequent = BlockMeans([*present, *everywhere, *neighbours, TARGET], len(ids)), vocabulary.ids(present)
    total, squared_norms = ScoreSum(vocabulary.unknown_id), 0.0
    last = torch.tensor([*(rank for rank in LAST_RANKS if rank < len(vocabulary)), len(vocabulary)])
    band_of = torch.bucketize(torch.arange(1, len(vocabulary) + 1), last)
    nll_nats, targets = torch.zeros(len(last), dtype=torch.float64), torch.zeros(len(last), dtype=torch.int64)
    for window in predict_windows(model, ids, end_id=vocabulary.end_id):
        with torch.inference_mode():
            nll = F.cross_entropy(window.logits, window.targets, reduction="none").double()
            squared_norms += float(window.features.double().square().sum())
            mass.add(*_word_mass(window, torch.tensor(frequent), list(neighbours.values())))
        total.add(window.targets, nll)
        bands = band_of[window.targets.cpu()]
        nll_nats.index_add_(0, bands, nll.cpu())
        targets += bands.bincount(minlength=len(last))
    return Analysis(
        score=total.score(),
        bands=_band_figures(model, last.tolist(), nll_nats.tolist(), targets.tolist()),
        feature_norm_squared=squared_norms / len(ids),
        geometry=table_geometry(model),
        mass=mass,
    )


def _band_figures(
    model: LanguageModel, last_ranks: list[int], nll_nats: list[float], targets: list[int]
) -> tuple[BandFigures, ...]:
    vectors, classifier = (table.detach().double().square().sum(1) for table in (model.table, model.classifier))
    tied = model.tables.loss_table is None
    return tuple(
        BandFigures(
            ranks=f"{before + 1:,}-{last:,}",
            targets=count,
            nll_nats=nll / count if count else None,
            squared_norm=float(vectors[before:last].mean()),
            classifier_squared_norm=None if tied else float(classifier[before:last].mean()),
        )
        for before, last, nll, count in zip([0, *last_ranks[:-1]], last_ranks, nll_nats, targets, strict=True)
    )
