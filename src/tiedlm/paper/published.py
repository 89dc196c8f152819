"""The paper's perplexities, under the names of the recipes that repeat them. Data only; nothing is computed.

Source: Inan, Khosravi & Socher, Tying Word Vectors and Word Classifiers (ICLR 2017, arXiv 1611.01462v3): Tables 1, 2
and 3, and footnote 4 for the number of trainings. Figures of other work that Table 3 quotes, the predictions of Table 4
and the points of Figure 1 are in the modules `published_citations`, `published_predictions` and `published_points`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, final

Corpus = Literal["ptb", "wikitext-2", "wikitext-2-half1", "wikitext-2-half2"]
Size = Literal["small", "medium", "large", "rhn"]

UNSTATED = "seed, spread over seeds, epochs, initial weights and the counting of words are not stated"
TRAINED_TWICE = f"trained a second time from its own final weights (footnote 4); {UNSTATED}"
BASELINE = f"a second training from its own final weights changed nothing (footnote 4); {UNSTATED}"
NEVER_RUN = "the paper has no such row"
BESIDE = "Beside the paper"
"""Table of rows that the paper lacks and that repeat one of its own with one thing changed."""


@final
@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """One model on one corpus, as printed: perplexities of the whole validation and test text."""

    table: str
    """Where it is printed, such as "Table 1"; `BESIDE` of a row that is one step away from a printed one."""
    row: str
    """The model's name there."""
    corpus: Corpus
    """The corpus, by the name that it has in a config."""
    size: Size
    """`small`, `medium` or `large`: 200, 650 or 1,500 units; `rhn`: the recurrent highway network of Table 3."""
    valid: float | None
    """Perplexity of the validation text; None in a row that the paper lacks and that stands beside its own."""
    test: float | None
    """Perplexity of the test text; None where `valid` is."""
    trainings: int = 1
    """Trainings behind the figures: 2 where the model was trained again from its own final weights."""
    protocol: str = UNSTATED
    """What the paper says, and does not say, of how the figures came about."""
    repeats: str | None = None
    """Of a row beside the paper: the printed row that it repeats with one thing changed."""


def _row(
    corpus: Corpus,
    size: Size,
    row: str,
    valid: float | None,
    test: float | None,
    *,
    table: str = "Table 1",
    trainings: int = 1,
    protocol: str = UNSTATED,
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


def _half(half: Literal[1, 2], row: str, valid: float, test: float) -> PublishedRow:
    corpus: Corpus = "wikitext-2-half1" if half == 1 else "wikitext-2-half2"
    return _row(corpus, "small", row, valid, test, table="Table 2")


def _rhn(row: str, valid: float | None, test: float | None, protocol: str = UNSTATED) -> PublishedRow:
    return _row("ptb", "rhn", row, valid, test, table="Table 3", protocol=protocol)


def _beside(repeats: str, change: str) -> PublishedRow:
    """Return a printed row with one thing changed, which the paper lacks; it is trained as often as that row."""
    printed = PRINTED[repeats]
    name = f"{printed.row}, {change}"
    return replace(printed, table=BESIDE, row=name, valid=None, test=None, protocol=NEVER_RUN, repeats=repeats)


PRINTED: dict[str, PublishedRow] = {
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
    "wikitext2-half1-small-vd": _half(1, "VD-LSTM", 159.1, 148.0),
    "wikitext2-half1-small-al": _half(1, "VD-LSTM+AL", 153.0, 142.5),
    "wikitext2-half1-small-re": _half(1, "VD-LSTM+RE", 152.4, 141.9),
    "wikitext2-half1-small-real": _half(1, "VD-LSTM+REAL", 149.3, 140.6),
    "wikitext2-half2-small-vd": _half(2, "VD-LSTM", 163.19, 148.6),
    "wikitext2-half2-small-al": _half(2, "VD-LSTM+AL", 156.4, 143.7),
    "wikitext2-half2-small-re": _half(2, "VD-LSTM+RE", 152.5, 140.9),
    "wikitext2-half2-small-real": _half(2, "VD-LSTM+REAL", 150.5, 138.4),
    "ptb-rhn-vd": _rhn("VD-RHN", 71.2, 68.5),
    "ptb-rhn-re": _rhn("VD-RHN+RE", 68.1, 66.0),
    "ptb-rhn-real": _rhn("VD-RHN+REAL", None, None, NEVER_RUN),
}
"""Row by recipe, in the order of the paper's tables; VD-RHN+REAL, which Table 3 lacks, after those that it has."""

PUBLISHED: dict[str, PublishedRow] = {
    **PRINTED,
    "ptb-small-re-bias": _beside("ptb-small-re", "output bias"),
    "ptb-small-real-bias": _beside("ptb-small-real", "output bias"),
}
"""Row by recipe: those of the paper's tables, then those beside them."""
