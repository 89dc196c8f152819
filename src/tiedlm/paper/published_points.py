"""The points of Figure 1 of which the paper tells, in words of this project's own. Data only."""

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


FIGURE_1_POINTS = (
    KnownPoint(panel="beta", tau=10.0, beta=0.0, distance=None, told="almost 1"),
    KnownPoint(panel="beta", tau=10.0, beta=1.0, distance=0.06, told="about 0.06"),
    KnownPoint(panel="tau", tau=2.0, beta=1.0, distance=None, told="close already"),
)
