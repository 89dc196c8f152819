"""Table 4: the ten most probable next words after four phrases of Penn Treebank's test text. Data only.

The models are the large ones, VD-LSTM and VD-LSTM+REAL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

Words = tuple[tuple[str, float], ...]
"""Words with their probabilities, most probable first."""

BASELINE, AUGMENTED = "ptb-large-vd", "ptb-large-real"
"""The recipes of the two models."""


@final
@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What two models expect after a phrase, as printed."""

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
