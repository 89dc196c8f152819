"""One pass over a text that tells what a perplexity hides: figures by frequency, features, where probability goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tiedlm.data.text import Vocabulary
from tiedlm.evaluation.frequency_bands import BandTally, mean_squared_norms
from tiedlm.evaluation.geometry import Geometry, table_geometry
from tiedlm.evaluation.perplexity import Score, Tally
from tiedlm.evaluation.predictions import predictions
from tiedlm.evaluation.word_mass import WordMass
from tiedlm.nn.model import LanguageModel


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
    tally, bands = Tally(vocabulary.unknown_id), BandTally(len(vocabulary))
    mass, squared_norms = WordMass(vocabulary, len(ids), neighbours), 0.0
    for window in predictions(model, ids, end_id=vocabulary.end_id):
        with torch.inference_mode():
            nll = F.cross_entropy(window.logits, window.targets, reduction="none").double()
            squared_norms += float(window.features.double().square().sum())
        tally.add(window.targets, nll)
        bands.add(window.targets, nll)
        mass.add(window)
    return Analysis(
        score=tally.score(),
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
