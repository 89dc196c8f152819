"""The measured points of Figure 1: distances between two tables' spans, run by run, in `results/figure1/points.json`.

    {"format": 1, "words": V, "units": d, "environment": {...}, "command": "...",
     "panels": {"beta": [{"tau": 10.0, "beta": 0.0, "distances": [run 0, run 1, ...]}, ...],
                "tau": [{"tau": 2.0, "beta": 1.0, "distances": [...]}, ...]}}

Environment and command say where the points come from; no figure is made of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from tiedlm.errors import RunError
from tiedlm.files import read_json
from tiedlm.reproduction.layout import NOT_USED
from tiedlm.reproduction.samples import Sample

FORMAT = 1
PLACE = Path("figure1", "points.json")
"""Where it is below the folder of all results."""
PANELS = ("beta", "tau")


@final
@dataclass(frozen=True, kw_only=True)
class Point:
    """One setting, and the distance of each run."""

    tau: float
    beta: float
    distances: Sample
    """Number of the run → distance, in [0, 1]."""


@final
@dataclass(frozen=True, kw_only=True)
class Points:
    """Both panels, and the size of the tables."""

    words: int
    """Rows of the tables (V)."""
    units: int
    """Columns of the tables (d)."""
    panels: dict[str, tuple[Point, ...]]
    """`beta` and `tau`: points ascending in what the panel is named after; a panel may be empty."""

    @property
    def chance(self) -> float:
        """Return the distance of two random d-dimensional subspaces of R^V: sqrt(1 - d/V)."""
        return math.sqrt(1 - self.units / self.words)


def read_points(results: Path) -> Points | None:
    """Return the points below the folder of all results; None where Figure 1 was not run.

    Raises:
        RunError: the file is damaged, of another format, or holds what is no distance.
    """
    path = results / PLACE
    if not path.is_file():
        return None
    told = read_json(path)
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        found = told.get("format") if isinstance(told, dict) else None
        raise RunError(f"{path} must be of format {FORMAT}, but is of {found!r}. {NOT_USED} Make it anew.")
    try:
        return _points(told)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{path} holds no points of Figure 1 ({error!r}). {NOT_USED} Make it anew.") from error


def _points(told: dict[str, Any]) -> Points:
    words, units, panels = told["words"], told["units"], told["panels"]
    if not 0 < units < words:
        raise ValueError(f"{units} units of {words} words")
    if set(panels) != set(PANELS):
        raise ValueError(f"panels {sorted(panels)} instead of {list(PANELS)}")
    return Points(words=words, units=units, panels={name: _panel(name, panels[name]) for name in PANELS})


def _panel(name: str, told: list[dict[str, Any]]) -> tuple[Point, ...]:
    points = sorted((_point(one) for one in told), key=lambda point: getattr(point, name))
    places = [getattr(point, name) for point in points]
    if len(set(places)) < len(places):
        raise ValueError(f"two points of the panel {name} at one {name}")
    other = "tau" if name == "beta" else "beta"
    if len({getattr(point, other) for point in points}) > 1:
        raise ValueError(f"several values of {other} in the panel over {name}")
    return tuple(points)


def _point(told: dict[str, Any]) -> Point:
    tau, beta, distances = float(told["tau"]), float(told["beta"]), [float(value) for value in told["distances"]]
    if not (math.isfinite(tau) and tau > 0 and 0 <= beta <= 1):
        raise ValueError(f"tau {tau}, beta {beta}")
    if not distances or not all(0 <= value <= 1 for value in distances):
        raise ValueError(f"distances {distances}")
    return Point(tau=tau, beta=beta, distances=Sample(dict(enumerate(distances))))
