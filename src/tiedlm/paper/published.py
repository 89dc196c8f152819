"""The paper's figures, under the names of the recipes that repeat them. Data only; nothing is computed.

Source: Inan, Khosravi & Socher, Tying Word Vectors and Word Classifiers (ICLR 2017, arXiv 1611.01462v3): Tables 1 to 4,
Figure 1, and footnote 4 for the number of trainings. A recipe's name is `<corpus>-<size>-<variant>`, so corpus, size
and model of a row follow from it. The paper does not state seeds, their spread, epochs, initial weights or how words
are counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, final

from tiedlm.recipes import recipe_names

CORPORA = {
    "ptb": "ptb",
    "wikitext2": "wikitext-2",
    "wikitext2-half1": "wikitext-2-half1",
    "wikitext2-half2": "wikitext-2-half2",
}
"""Beginning of a recipe's name → the corpus's name in a config."""
VARIANTS = {"vd": "", "al": "+AL", "re": "+RE", "real": "+REAL"}
"""Last part of a recipe's name → what follows the network's name in the paper."""

BESIDE, CONTROLS = "Beside the paper", "Controls"
"""Tables of rows that the paper lacks."""


@final
@dataclass(frozen=True, kw_only=True)
class PublishedRow:
    """One model on one corpus, as printed: perplexities of the whole validation and test text."""

    table: str
    """Where it is printed, such as "Table 1"; `BESIDE` or `CONTROLS` for a row that the paper lacks."""
    model: str
    corpus: str
    """By the name that it has in a config."""
    size: str
    """`small`, `medium` or `large`: 200, 650 or 1,500 units; `rhn`: the recurrent highway network of Table 3."""
    valid: float | None
    """Perplexity of the validation text; None, as `test` is, in a row that the paper lacks."""
    test: float | None
    trainings: int = 1
    """Trainings behind the figures: 2 where the model was trained again from its own final weights."""
    repeats: str | None = None
    """For a row that the paper lacks: the recipe that it repeats with one thing changed."""


def _table(table: str, figures: Mapping[str, tuple[float | None, float | None]]) -> dict[str, PublishedRow]:
    rows = {}
    for name, (valid, test) in figures.items():
        corpus, size, variant = name.rsplit("-", 2)
        model = ("VD-RHN" if size == "rhn" else "VD-LSTM") + VARIANTS[variant]
        rows[name] = PublishedRow(
            table=table,
            model=model,
            corpus=CORPORA[corpus],
            size=size,
            valid=valid,
            test=test,
            trainings=2 if name in TRAINED_TWICE else 1,
        )
    return rows


TRAINED_TWICE = ("ptb-small-al", "ptb-small-re", "ptb-small-real")
"""Trained a second time from their own final weights (footnote 4); for VD that changed nothing."""

PRINTED: dict[str, PublishedRow] = {
    **_table(
        "Table 1",
        {
            "ptb-small-vd": (92.6, 87.3),
            "ptb-small-al": (86.3, 82.9),
            "ptb-small-re": (89.9, 85.1),
            "ptb-small-real": (86.3, 82.7),
            "ptb-medium-vd": (82.0, 77.7),
            "ptb-medium-al": (77.4, 74.7),
            "ptb-medium-re": (77.1, 73.9),
            "ptb-medium-real": (75.7, 73.2),
            "ptb-large-vd": (76.8, 72.6),
            "ptb-large-al": (74.5, 71.2),
            "ptb-large-re": (72.5, 69.0),
            "ptb-large-real": (71.1, 68.5),
            "wikitext2-small-vd": (112.2, 105.9),
            "wikitext2-small-al": (110.3, 103.8),
            "wikitext2-small-re": (106.1, 100.5),
            "wikitext2-small-real": (105.6, 98.9),
            "wikitext2-medium-vd": (100.2, 95.3),
            "wikitext2-medium-al": (98.8, 93.1),
            "wikitext2-medium-re": (92.3, 87.7),
            "wikitext2-medium-real": (91.5, 87.0),
        },
    ),
    **_table(
        "Table 2",
        {
            "wikitext2-half1-small-vd": (159.1, 148.0),
            "wikitext2-half1-small-al": (153.0, 142.5),
            "wikitext2-half1-small-re": (152.4, 141.9),
            "wikitext2-half1-small-real": (149.3, 140.6),
            "wikitext2-half2-small-vd": (163.19, 148.6),
            "wikitext2-half2-small-al": (156.4, 143.7),
            "wikitext2-half2-small-re": (152.5, 140.9),
            "wikitext2-half2-small-real": (150.5, 138.4),
        },
    ),
    **_table("Table 3", {"ptb-rhn-vd": (71.2, 68.5), "ptb-rhn-re": (68.1, 66.0), "ptb-rhn-real": (None, None)}),
}
"""Recipe → row, in the order of the paper's tables; VD-RHN+REAL, which Table 3 lacks, after those that it has."""


def _beside(repeats: str, change: str) -> PublishedRow:
    """Return a printed row with one thing changed, which the paper lacks; it is trained as often as that row."""
    printed = PRINTED[repeats]
    return replace(printed, table=BESIDE, model=f"{printed.model}, {change}", valid=None, test=None, repeats=repeats)


PUBLISHED: dict[str, PublishedRow] = {
    **PRINTED,
    "ptb-small-re-bias": _beside("ptb-small-re", "output bias"),
    "ptb-small-real-bias": _beside("ptb-small-real", "output bias"),
}
"""Recipe → row: those of the paper's tables, then those beside them."""


def _controls() -> dict[str, PublishedRow]:
    """Return the small Penn Treebank recipes that ask what the augmented loss does: one change, one training."""
    rows = {}
    for name in recipe_names():
        repeats = "-".join(name.split("-")[:3])
        if repeats.startswith("ptb-small-") and repeats in PRINTED and name not in PUBLISHED:
            change = name.removeprefix(f"{repeats}-")
            for part, words in CHANGES.items():
                change = change.replace(part, words)
            rows[name] = replace(_beside(repeats, change), table=CONTROLS, trainings=1)
    return rows


CHANGES = {
    "uniform": "uniform target",
    "decay": "table decay ",
    "smoothing": "label smoothing ",
    "-gamma": ", γ ",
    "tau": "τ ",
    "unigram": "unigram bias",
}
"""What the last part of a control's name stands for."""

ROWS: dict[str, PublishedRow] = {**PUBLISHED, **_controls()}
"""Recipe → row of every recipe that has results: `PUBLISHED`, then the controls."""


class Citation(NamedTuple):
    """One row of Table 3, as printed: other work on Penn Treebank, its parameters and perplexities."""

    model: str
    parameters: str | None
    valid: float | None
    test: float
    recipe: str | None = None
    """The recipe of the row, where there is one: its figures are then those of `PUBLISHED`."""


CITATIONS = (
    Citation("RNN", None, None, 124.7),
    Citation("RNN+LDA", None, None, 113.7),
    Citation("RNN+LDA+KN5+cache", None, None, 92.0),
    Citation("Deep RNN", None, None, 107.5),
    Citation("Sum-Prod Net", None, None, 100.0),
    Citation("LSTM (medium)", "20M", 86.2, 82.7),
    Citation("CharCNN", "19M", None, 78.9),
    Citation("LSTM (large)", "66M", 82.2, 78.4),
    Citation("VD-LSTM (large, untied, MC)", "66M", None, 73.4),
    Citation("Pointer Sentinel-LSTM", "21M", 72.4, 70.9),
    Citation("38 LSTMs", "2.51B", 71.9, 68.7),
    Citation("10 VD-LSTMs", "660M", None, 68.7),
    Citation("VD-RHN", "32M", 71.2, 68.5, "ptb-rhn-vd"),
    Citation("VD-LSTM+REAL (large)", "51M", 71.1, 68.5, "ptb-large-real"),
    Citation("VD-RHN+RE", "24M", 68.1, 66.0, "ptb-rhn-re"),
)
"""In the order of the paper."""

Words = tuple[tuple[str, float], ...]
"""Words with their probabilities, most probable first."""

BASELINE, AUGMENTED = "ptb-large-vd", "ptb-large-real"
"""The recipes of the two models of Table 4."""


class Prediction(NamedTuple):
    """What two models expect after a phrase of Penn Treebank's test text, as printed in Table 4."""

    phrase: str
    target: str
    """The word that does follow."""
    vd: Words
    """The first ten of VD-LSTM."""
    real: Words
    """The first ten of VD-LSTM+REAL."""


def _words(printed: str) -> Words:
    pairs = (pair.rsplit(" ", 1) for pair in printed.split(", "))
    return tuple((word, float(probability)) for word, probability in pairs)


PREDICTIONS = (
    Prediction(
        phrase="information international said it believes that the complaints filed in",
        target="federal",
        vd=_words(
            "the .27, a .13, federal .13, N .09, <unk> .05, an .03, august .01, new .01, response .01, connection .01"
        ),
        real=_words(
            "federal .22, the .1, a .08, N .06, state .04, connection .03, august .03, july .03, an .03, september .03"
        ),
    ),
    Prediction(
        phrase="oil company refineries ran flat out to prepare for a robust holiday driving season in july and",
        target="august",
        vd=_words("the .09, N .08, a .07, <unk> .07, was .04, in .03, has .03, is .02, will .02, its .02"),
        real=_words(
            "august .08, N .05, early .05, september .05, the .03, a .03, in .03, that .02, ended .02, its .02"
        ),
    ),
    Prediction(
        phrase="southmark said it plans to <unk> its <unk> to provide financial results as soon as its audit is",
        target="completed",
        vd=_words(
            "the .06, <unk> .05, a .05, in .04, n't .04, to .03, likely .03, expected .03, scheduled .01, completed .01"
        ),
        real=_words(
            "expected .1, completed .04, <unk> .03, the .03, in .03, a .03, scheduled .03, n't .03, due .02, to .01"
        ),
    ),
    Prediction(
        phrase="merieux said the government 's minister of industry science and",
        target="technology",
        vd=_words(
            "<unk> .33, the .06, a .01, other .01, others .01, industry .01, commerce .01, planning .01, "
            "management .01, mail .01"
        ),
        real=_words(
            "<unk> .09, health .08, development .04, the .04, a .03, industry .03, business .02, telecomm. .02, "
            "human .02, other .01"
        ),
    ),
)
"""In the order of the paper."""


class KnownPoint(NamedTuple):
    """A point of Figure 1 that the paper's text or figure gives."""

    panel: str
    """`beta`: (a), over beta at tau = 10; `tau`: (b), over tau at beta = 1."""
    tau: float
    beta: float
    distance: float | None
    """None where it is described in words only."""
    description: str
    """What the paper says of it, in words of this project's own."""


FIGURE_1_POINTS = (
    KnownPoint("beta", 10.0, 0.0, None, "almost 1"),
    KnownPoint("beta", 10.0, 1.0, 0.06, "about 0.06"),
    KnownPoint("tau", 2.0, 1.0, None, "close already"),
)
