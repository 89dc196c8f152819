"""The paper's published perplexities, under the names of the recipes that repeat them. Data only; nothing is computed.

Source: Inan, Khosravi & Socher, Tying Word Vectors and Word Classifiers (ICLR 2017, arXiv 1611.01462v3): Table 1, with
footnote 4 for the number of trainings, and of Table 3 the two rows that have a recipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

Corpus = Literal["ptb", "wikitext-2"]
Size = Literal["small", "medium", "large", "rhn"]

UNSTATED = "seed, spread over seeds, epochs, initial weights and the counting of words are not stated"
TRAINED_TWICE = f"trained a second time from its own final weights (footnote 4); {UNSTATED}"
OTHERS = "figures of Zilly et al. (2017), who state settings, and in their README the figures by recurrence depth"
BASELINE = f"a second training from its own final weights changed nothing (footnote 4); {UNSTATED}"


@final
@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """One model on one corpus, as printed."""

    table: str
    """Where it is printed, such as "Table 1"."""
    row: str
    """The model's name there."""
    corpus: Corpus
    """The corpus, by the name that it has in a config."""
    size: Size
    """`small`, `medium` or `large`: LSTMs of 200, 650 or 1,500 units; `rhn`: recurrent highway network of 830 units."""
    valid: float
    """Perplexity of the validation text."""
    test: float
    """Perplexity of the test text."""
    trainings: int = 1
    """Trainings behind the figures: 2 where the model was trained again from its own final weights."""
    protocol: str = UNSTATED
    """What the paper says, and does not say, of how the figures came about."""


def _row(
    corpus: Corpus,
    size: Size,
    row: str,
    valid: float,
    test: float,
    *,
    trainings: int = 1,
    protocol: str = UNSTATED,
    table: str = "Table 1",
) -> PublishedRow:
    return PublishedRow(
        table=table,
        row=row,
        corpus=corpus,
        size=size,
        valid=valid,
        test=test,
        trainings=trainings,
        protocol=protocol,
    )


PUBLISHED: dict[str, PublishedRow] = {
    "ptb-small-vd": _row("ptb", "small", "VD-LSTM", 92.6, 87.3, protocol=BASELINE),
    "ptb-small-al": _row("ptb", "small", "VD-LSTM+AL", 86.3, 82.9, trainings=2, protocol=TRAINED_TWICE),
    "ptb-small-re": _row("ptb", "small", "VD-LSTM+RE", 89.9, 85.1, trainings=2, protocol=TRAINED_TWICE),
    "ptb-small-real": _row("ptb", "small", "VD-LSTM+REAL", 86.3, 82.7, trainings=2, protocol=TRAINED_TWICE),
    "ptb-medium-vd": _row("ptb", "medium", "VD-LSTM", 82.0, 77.7),
    "ptb-medium-al": _row("ptb", "medium", "VD-LSTM+AL", 77.4, 74.7),
    "ptb-medium-re": _row("ptb", "medium", "VD-LSTM+RE", 77.1, 73.9),
    "ptb-medium-real": _row("ptb", "medium", "VD-LSTM+REAL", 75.7, 73.2),
    "ptb-large-vd": _row("ptb", "large", "VD-LSTM", 76.8, 72.6),
    "ptb-large-al": _row("ptb", "large", "VD-LSTM+AL", 74.5, 71.2),
    "ptb-large-re": _row("ptb", "large", "VD-LSTM+RE", 72.5, 69.0),
    "ptb-large-real": _row("ptb", "large", "VD-LSTM+REAL", 71.1, 68.5),
    "wikitext2-small-vd": _row("wikitext-2", "small", "VD-LSTM", 112.2, 105.9),
    "wikitext2-small-al": _row("wikitext-2", "small", "VD-LSTM+AL", 110.3, 103.8),
    "wikitext2-small-re": _row("wikitext-2", "small", "VD-LSTM+RE", 106.1, 100.5),
    "wikitext2-small-real": _row("wikitext-2", "small", "VD-LSTM+REAL", 105.6, 98.9),
    "wikitext2-medium-vd": _row("wikitext-2", "medium", "VD-LSTM", 100.2, 95.3),
    "wikitext2-medium-al": _row("wikitext-2", "medium", "VD-LSTM+AL", 98.8, 93.1),
    "wikitext2-medium-re": _row("wikitext-2", "medium", "VD-LSTM+RE", 92.3, 87.7),
    "wikitext2-medium-real": _row("wikitext-2", "medium", "VD-LSTM+REAL", 91.5, 87.0),
    "ptb-rhn-vd": _row("ptb", "rhn", "VD-RHN", 71.2, 68.5, protocol=OTHERS, table="Table 3"),
    "ptb-rhn-re": _row("ptb", "rhn", "VD-RHN+RE", 68.1, 66.0, protocol=OTHERS, table="Table 3"),
}

UNPUBLISHED = ("ptb-rhn-real",)
"""Recipes on these corpora for which nobody has printed a figure."""
