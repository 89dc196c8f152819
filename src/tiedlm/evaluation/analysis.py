"""What a perplexity hides: figures by word frequency, features, tables, and where the probability goes, in one pass.

By frequency: ranks 1-10, 11-100, 101-1,000, 1,001-3,000 and the rest. A vocabulary is in the order of its counts, so a
word's rank is its id and one. Most running words are frequent; what a loss does to the thousands of rare ones shows
here.

Probability: the paper's Table 4 looks at four contexts and says that under REAL the words `<unk>`, "a", "an" and "the"
receive less probability, and the neighbours of the target more. Here each is a mean over all words of a text:

    frequent words    p(w | context), over the words of the text that are not w themselves; and over every word
    neighbours        the sum of p over the k words whose vectors are nearest to the target's
    target            p of the word that came

Standard errors allow for words near each other being alike. The text is cut into B blocks of contiguous words. A mean
over the words that count is a ratio of two sums over blocks, R = sum_b s_b / sum_b c_b, and its standard error that of
a ratio, from how the blocks differ among themselves:

    e_b = B (s_b - R c_b) / sum_b c_b        what block b has above its share
    standard error = sd(e_b) / sqrt(B)

Of two models on the same text, e_b of the one less e_b of the other gives the error of their difference: what both find
hard in a block cancels. The error reflects variation over text, not over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tiedlm.data.text import Vocabulary
from tiedlm.errors import ArgumentError
from tiedlm.evaluation import FREQUENT_WORDS, TARGET, everywhere
from tiedlm.evaluation.perplexity import Score, ScoreSum, Window, predict_windows
from tiedlm.evaluation.subspaces import Geometry, table_geometry
from tiedlm.nn.model import LanguageModel

BLOCKS = 100
"""Blocks that a text is cut into: some hundred words each on the published test texts, and more."""

NORMAL_95 = 1.96
"""Standard errors on either side of an interval of 95 %."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over words and how sure it is."""

    mean: float
    """The mean, or the difference of two."""
    standard_error: float
    """Its standard error over blocks of the text."""
    words: int
    """Words that it is a mean over."""

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of 95 %, by the normal distribution."""
        return self.mean - NORMAL_95 * self.standard_error, self.mean + NORMAL_95 * self.standard_error


class BlockSums(NamedTuple):
    """One measure's sums over the blocks of a text, in order."""

    sums: list[float]
    """Of the measure, over the words that count."""
    counts: list[int]
    """Words that count."""


@final
class BlockMeans:
    """Sums by block of several measures of each word of a text.

    Args:
        measures: how many.
        words: of the whole text.
        blocks: B; at most one a word.
    """

    def __init__(self, measures: int, words: int, blocks: int = BLOCKS) -> None:
        self._words, self._seen = words, 0
        self._sums = torch.zeros(min(blocks, words), measures, dtype=torch.float64)
        self._counts = torch.zeros_like(self._sums)

    def add(self, values: Tensor, counted: Tensor) -> None:
        """Take the next words of the text: their measures, and which of them count; both [T, measures]."""
        place = torch.arange(self._seen, self._seen + len(values)) * len(self._sums) // self._words
        values, counted = values.cpu().double(), counted.cpu()
        self._sums.index_add_(0, place, values.where(counted, 0))
        self._counts.index_add_(0, place, counted.double())
        self._seen += len(values)

    def estimates(self) -> list[Estimate | None]:
        """Return the mean of each measure; None for one that no word counted for."""
        means, shares = self._linear()
        return self._estimates(means, shares)

    def by_block(self) -> list[BlockSums]:
        """Return the sums that each mean is made of."""
        pairs = zip(self._sums.T.tolist(), self._counts.T.long().tolist(), strict=True)
        return [BlockSums(sums, counts) for sums, counts in pairs]

    def differences(self, other: BlockMeans) -> list[Estimate | None]:
        """Return the mean of each measure less that of `other`, which must have taken the same words.

        Raises:
            ArgumentError: the two did not count the same words.
        """
        if self._counts.shape != other._counts.shape or not bool((self._counts == other._counts).all()):
            raise ArgumentError("The means to compare are over different words. Take both over the same text.")
        (means, shares), (others, other_shares) = self._linear(), other._linear()
        return self._estimates(means - others, shares - other_shares)

    def _linear(self) -> tuple[Tensor, Tensor]:
        """Return R and e_b of each measure."""
        total = self._counts.sum(0)
        means = self._sums.sum(0) / total
        return means, len(self._sums) * (self._sums - means * self._counts) / total

    def _estimates(self, means: Tensor, shares: Tensor) -> list[Estimate | None]:
        blocks = len(shares)
        errors = shares.std(0) / blocks**0.5 if blocks > 1 else torch.full_like(means, torch.inf)
        rows = zip(means.tolist(), errors.tolist(), self._counts.sum(0).int().tolist(), strict=True)
        return [
            Estimate(mean=mean, standard_error=error, words=count) if count else None for mean, error, count in rows
        ]


LAST_RANKS = (10, 100, 1_000, 3_000)
"""The last rank of every band but the last one."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """Ranks that are looked at together."""

    first: int
    """The first rank, from 1."""
    last: int
    """The last rank, at most V."""

    @property
    def ids(self) -> slice:
        """The ids of its words."""
        return slice(self.first - 1, self.last)

    def __str__(self) -> str:
        """Return the ranks, as in `1,001-3,000`."""
        return f"{self.first:,}-{self.last:,}"


def frequency_bands(words: int) -> list[Band]:
    """Return the bands of a vocabulary of `words` words, the last one up to V; those beyond it are left out."""
    ends = [*(last for last in LAST_RANKS if last < words), words]
    return [Band(first=before + 1, last=last) for before, last in zip([0, *ends], ends, strict=False)]


def mean_squared_norms(table: Tensor, bands: list[Band]) -> list[float]:
    """Return the mean |w|^2 over the rows of a table [V, D], for each band."""
    norms = table.detach().double().square().sum(1)
    return [float(norms[band.ids].mean()) for band in bands]


@final
class BandTally:
    """Sums of -log p by the band of the word that came.

    Args:
        words: V.
    """

    def __init__(self, words: int) -> None:
        self.bands = frequency_bands(words)
        ends = torch.tensor([band.last for band in self.bands])
        self._band_of = torch.bucketize(torch.arange(1, words + 1), ends)
        self._nll_nats = torch.zeros(len(ends), dtype=torch.float64)
        self.targets = torch.zeros(len(ends), dtype=torch.int64)
        """How often a word of each band came [bands]."""

    def add(self, targets: Tensor, nll_nats: Tensor) -> None:
        """Take words [T] and -log p of each, in nats [T]."""
        place = self._band_of[targets.cpu()]
        self._nll_nats.index_add_(0, place, nll_nats.cpu().double())
        self.targets += place.bincount(minlength=len(self.targets))

    def mean_nll_nats(self) -> list[float | None]:
        """Return the mean of -log p in nats for each band; None where none of its words came."""
        pairs = zip(self._nll_nats.tolist(), self.targets.tolist(), strict=True)
        return [total / count if count else None for total, count in pairs]


@final
class WordMass:
    """Takes the predictions of a text, window by window, and tells where their probability went.

    Args:
        vocabulary: the model's; those of `FREQUENT_WORDS` that it lacks are left out.
        text_words: words of the whole text.
        neighbours: name of the measure → ids of the nearest words of each word [V, k].
        blocks: blocks of the text, for standard errors.
    """

    def __init__(
        self, vocabulary: Vocabulary, text_words: int, neighbours: Mapping[str, Tensor], blocks: int = BLOCKS
    ) -> None:
        present = [word for word in FREQUENT_WORDS if word in vocabulary.id_of]
        self._ids = torch.tensor(vocabulary.ids(present))
        self._neighbours = list(neighbours.values())
        self.names = (*present, *map(everywhere, present), *neighbours, TARGET)
        """What is measured, in order."""
        self._means = BlockMeans(len(self.names), text_words, blocks)

    @torch.inference_mode()
    def add(self, window: Window) -> None:
        """Take the next window of the text."""
        probabilities, targets = window.logits.softmax(-1), window.targets
        ids = self._ids.to(targets.device)
        near = [
            probabilities.gather(1, each.to(targets.device)[targets]).sum(1, keepdim=True) for each in self._neighbours
        ]
        of_words = probabilities[:, ids]
        values = torch.cat([of_words, of_words, *near, probabilities.gather(1, targets[:, None])], dim=1)
        counted = torch.ones_like(values, dtype=torch.bool)
        counted[:, : len(ids)] = targets[:, None] != ids
        self._means.add(values, counted)

    def estimates(self) -> dict[str, Estimate | None]:
        """Return the mean of each measure, by name; None where no word of the text counts for it."""
        return dict(zip(self.names, self._means.estimates(), strict=True))

    def by_block(self) -> dict[str, BlockSums]:
        """Return the sums that the means are made of, block by block, by the measure's name."""
        return dict(zip(self.names, self._means.by_block(), strict=True))

    def differences(self, other: WordMass) -> dict[str, Estimate | None]:
        """Return the mean of each measure less that of another model on the same text, by name.

        Raises:
            ArgumentError: the two measured other things, or over other words.
        """
        if self.names != other.names:
            raise ArgumentError(f"The measures {list(self.names)} and {list(other.names)} do not compare.")
        return dict(zip(self.names, self._means.differences(other._means), strict=True))


ROWS_AT_ONCE = 1024
"""Words whose cosines with all others are held at once."""


@torch.inference_mode()
def nearest_words(vectors: Tensor, count: int | None = None) -> Tensor:
    """Return for each word the ids of the `count` others whose vectors have the largest cosine with its own [V, count].

    Args:
        vectors: word vectors L [V, D].
        count: from 1 to V - 1; None gives 10, or all others of a smaller vocabulary.

    Raises:
        ArgumentError: count out of range.
    """
    count = min(10, len(vectors) - 1) if count is None else count
    if not 1 <= count < len(vectors):
        raise ArgumentError(
            f"{count} neighbours were asked for, but a word has from 1 to {len(vectors) - 1:,}: all words but itself."
        )
    directions = F.normalize(vectors.float(), dim=1)
    return torch.cat([_nearest(directions, first, count) for first in range(0, len(vectors), ROWS_AT_ONCE)])


def _nearest(directions: Tensor, first: int, count: int) -> Tensor:
    cosines = directions[first : first + ROWS_AT_ONCE] @ directions.T
    rows = torch.arange(len(cosines), device=cosines.device)
    cosines[rows, rows + first] = -torch.inf
    return cosines.topk(count, dim=1).indices


@dataclass(frozen=True, kw_only=True)
class BandFigures:
    """The words of one band of frequency."""

    ranks: str
    """First and last rank, as in `1,001-3,000`."""
    targets: int
    """How often one of them came in the text."""
    nll_nats: float | None
    """Mean -log p when one of them came; None where none did."""
    squared_norm: float
    """Mean |l|^2 of their word vectors."""
    classifier_squared_norm: float | None
    """Mean |w|^2 of their rows of the classifier; None where it is the same table."""


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What a model does on a text."""

    score: Score
    """Its perplexity and what belongs to it."""
    bands: tuple[BandFigures, ...]
    """Figures by frequency of the target, most frequent first."""
    feature_norm_squared: float
    """Mean |h|^2 over the words of the text."""
    geometry: Geometry
    """How its tables lie."""
    mass: WordMass
    """Where its probability goes."""

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain JSON values."""
        return {
            "score": self.score.to_json(),
            "bands": [asdict(band) for band in self.bands],
            "feature_norm_squared": self.feature_norm_squared,
            "geometry": self.geometry.to_json(),
            "probability": estimates_to_json(self.mass.estimates()),
        }


def estimates_to_json(estimates: Mapping[str, Any]) -> dict[str, Any]:
    """Return estimates by name as plain JSON values, each with its interval."""
    return {name: one and {**asdict(one), "interval": list(one.interval)} for name, one in estimates.items()}


def analyze(
    model: LanguageModel, vocabulary: Vocabulary, ids: np.ndarray[Any, Any], neighbours: Mapping[str, Tensor]
) -> Analysis:
    """Return what a model does on a text, read under the protocol of `perplexity`.

    Args:
        model: used as it is; its mode and parameters are left alone.
        vocabulary: the model's.
        ids: word ids of the text in order, `<eos>` at the end of every line included [words].
        neighbours: name → ids of the nearest words of each word [V, k], whose probability is summed.

    Raises:
        CorpusError: a text without a word.
        ArgumentError: a table that is not finite or spans too few directions.
    """
    total, bands = ScoreSum(vocabulary.unknown_id), BandTally(len(vocabulary))
    mass, squared_norms = WordMass(vocabulary, len(ids), neighbours), 0.0
    for window in predict_windows(model, ids, end_id=vocabulary.end_id):
        with torch.inference_mode():
            nll = F.cross_entropy(window.logits, window.targets, reduction="none").double()
            squared_norms += float(window.features.double().square().sum())
        total.add(window.targets, nll)
        bands.add(window.targets, nll)
        mass.add(window)
    return Analysis(
        score=total.score(),
        bands=_band_figures(model, bands),
        feature_norm_squared=squared_norms / len(ids),
        geometry=table_geometry(model),
        mass=mass,
    )


def _band_figures(model: LanguageModel, tally: BandTally) -> tuple[BandFigures, ...]:
    norms = mean_squared_norms(model.table, tally.bands)
    tied = model.tables.loss_table is None
    own = [None] * len(norms) if tied else mean_squared_norms(model.classifier, tally.bands)
    rows = zip(tally.bands, tally.targets.tolist(), tally.mean_nll_nats(), norms, own, strict=True)
    return tuple(
        BandFigures(
            ranks=str(band), targets=count, nll_nats=nll, squared_norm=norm, classifier_squared_norm=classifier_norm
        )
        for band, count, nll, norm, classifier_norm in rows
    )
