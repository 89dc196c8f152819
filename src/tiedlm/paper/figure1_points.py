"""The measured points of Figure 1: distances between two tables' spans, run by run, in `results/figure1/points.json`.

    {"format": 2, "units": d, "words_by_run": {"0": V, ...}, "runs": [0, 1, ...],
     "panels": {"beta": [{"tau": 10.0, "beta": 0.0, "distances": {"0": 0.95, ...}, ...}, ...],
                "tau": [{"tau": 2.0, "beta": 1.0, "distances": {}}, ...]}}

Every point of the grid is there; one whose `distances` lack some of `runs` is not finished.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from tiedlm.errors import RunError
from tiedlm.files import read_json
from tiedlm.paper.figure1_folder import POINTS, POINTS_FORMAT, check_folder
from tiedlm.paper.figure1_records import TRAINING
from tiedlm.paper.layout import NOT_USED
from tiedlm.paper.samples import Sample
from tiedlm.paper.theory_setting import TheoryConfig

PLACE = Path("figure1")
"""Where the figure's folder is below the folder of all results."""
PANELS = ("beta", "tau")


@final
@dataclass(frozen=True, kw_only=True)
class Point:
    """One setting, and the distance of each run."""

    tau: float
    beta: float
    distances: Sample | None
    """Number of the run → distance, in [0, 1]; None where no run is finished."""


@final
@dataclass(frozen=True, kw_only=True)
class Points:
    """Both panels, and the size of the tables."""

    words: int
    """Rows of the tables (V): distinct words of a run's text, the mean over runs."""
    units: int
    """Columns of the tables (d)."""
    runs: tuple[int, ...]
    """Numbers of the runs that each point should have."""
    panels: dict[str, tuple[Point, ...]]
    """`beta` and `tau`: points ascending in what the panel is named after; a panel may be empty."""

    @property
    def chance(self) -> float:
        """Return the distance of two random d-dimensional subspaces of R^V: sqrt(1 - d/V)."""
        return math.sqrt(1 - self.units / self.words)

    def wanted(self) -> int:
        """Return how many runs both panels are made of; a point that is in both is measured once."""
        return len(self.runs) * len(self._settings())

    def missing(self) -> dict[tuple[float, float], list[int]]:
        """Return (tau, beta) → the numbers of the runs that are not finished, of points that lack some."""
        lacking = {
            place: [run for run in self.runs if point.distances is None or run not in point.distances.by_seed]
            for place, point in self._settings().items()
        }
        return {place: runs for place, runs in lacking.items() if runs}

    def _settings(self) -> dict[tuple[float, float], Point]:
        return {(point.tau, point.beta): point for panel in self.panels.values() for point in panel}


def read_points(results: Path, training: TheoryConfig = TRAINING) -> Points | None:
    """Return the points below the folder of all results; None where Figure 1 was not run.

    Args:
        results: the folder of all results.
        training: how every run should have been trained.

    Raises:
        RunError: the folder is damaged or edited, of another training or format, or holds what is no distance or file
            of it.
    """
    path = results / PLACE / POINTS
    if not path.parent.exists() or not any(path.parent.glob("*.json")):
        return None
    check_folder(path.parent, training)
    told = read_json(path)
    if not isinstance(told, dict) or told.get("format") != POINTS_FORMAT:
        found = told.get("format") if isinstance(told, dict) else None
        raise RunError(f"{path} must be of format {POINTS_FORMAT}, but is of {found!r}. {NOT_USED} Make it anew.")
    try:
        return _points(told)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{path} holds no points of Figure 1 ({error!r}). {NOT_USED} Make it anew.") from error


def _points(told: dict[str, Any]) -> Points:
    words, units, panels = round(statistics.fmean(told["words_by_run"].values())), told["units"], told["panels"]
    if not 0 < units < words:
        raise ValueError(f"{units} units of {words} words")
    if set(panels) != set(PANELS):
        raise ValueError(f"panels {sorted(panels)} instead of {list(PANELS)}")
    runs = tuple(map(int, told["runs"]))
    return Points(words=words, units=units, runs=runs, panels={name: _panel(name, panels[name]) for name in PANELS})


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
    tau, beta = float(told["tau"]), float(told["beta"])
    distances = {int(run): float(value) for run, value in told["distances"].items()}
    if not (math.isfinite(tau) and tau > 0 and 0 <= beta <= 1):
        raise ValueError(f"tau {tau}, beta {beta}")
    if not all(0 <= value <= 1 for value in distances.values()):
        raise ValueError(f"distances {distances}")
    return Point(tau=tau, beta=beta, distances=Sample(distances) if distances else None)
