"""What the paper's figures show, and what it claims of its tables, in words of this project's own. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final


@final
@dataclass(frozen=True, kw_only=True)
class KnownPoint:
    """A point of Figure 1 that the text or the figure gives: a distance between the spans of input and output table."""

    panel: Literal["beta", "tau"]
    """`beta`: (a), over beta at tau = 10; `tau`: (b), over tau at beta = 1."""
    tau: float
    beta: float
    distance: float | None
    """The distance; None where it is told in words only."""
    told: str
    """What is told of it."""


@final
@dataclass(frozen=True, kw_only=True)
class Figure1Setting:
    """The setting of Figure 1 (section 6.2), as far as it is stated: grids, optimiser and epochs are not."""

    training_words: int = 20_000
    """Words of a contiguous stretch of Penn Treebank's training text, chosen at random."""
    units: int = 300
    layers: int = 2
    runs: int = 10
    """Runs that each point is the mean of."""
    tau_of_beta_panel: float = 10.0
    beta_of_tau_panel: float = 1.0


@final
@dataclass(frozen=True, kw_only=True)
class Claim:
    """Something that the paper says its figures show."""

    where: str
    """The table or figure that it is of."""
    told: str


FIGURE_1 = Figure1Setting()
FIGURE_1_POINTS = (
    KnownPoint(panel="beta", tau=10.0, beta=0.0, distance=None, told="almost 1"),
    KnownPoint(panel="beta", tau=10.0, beta=1.0, distance=0.06, told="about 0.06"),
    KnownPoint(panel="tau", tau=2.0, beta=1.0, distance=None, told="close already"),
)
FIGURE_2_SIZES = ("small", "large")
"""Networks on Penn Treebank of which Figure 2 has the validation perplexity by epoch, for the four models."""

CLAIMS = {
    "al-beats-re-small": Claim(where="Table 1", told="in the small network AL is better than RE"),
    "re-beats-al-larger": Claim(where="Table 1", told="in the larger networks RE is better than AL"),
    "real-is-best": Claim(where="Tables 1 and 2", told="RE and AL together are best everywhere"),
    "al-helps-scarce-data": Claim(where="Table 2", told="AL helps most where training text is scarce"),
    "beta-aligns-tables": Claim(where="Figure 1 (a)", told="the larger beta is, the nearer are the tables' spans"),
    "tau-aligns-tables": Claim(where="Figure 1 (b)", told="the spans are near already at tau = 2, nearer above"),
    "unknown-word": Claim(where="Table 4", told="<unk> gets less probability under REAL"),
    "word-a": Claim(where="Table 4", told='"a" gets less probability under REAL'),
    "word-an": Claim(where="Table 4", told='"an" gets less probability under REAL'),
    "word-the": Claim(where="Table 4", told='"the" gets less probability under REAL'),
    "neighbours": Claim(where="Table 4", told="words near the target get more probability under REAL"),
}
"""Claim by a name of this project's."""
