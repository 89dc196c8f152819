"""Figure 1: how near the spans of input and output table come under the theory experiment's loss, over beta and tau."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tiedlm.paper.drawing import pictures, titled
from tiedlm.paper.figure1_points import Point, Points
from tiedlm.paper.grid import Grid
from tiedlm.paper.published_points import FIGURE_1_POINTS
from tiedlm.paper.samples import Sample
from tiedlm.paper.tables import NOT_RUN, NOTHING, value

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OURS, PAPER, CHANCE = "#0072B2", "#D55E00", "#555555"
LETTERS = {"beta": "a", "tau": "b"}
"""What a panel varies → its letter in the paper."""
TITLE = "Figure 1: distance between the spans of input and output table"


def figure1(points: Points) -> dict[str, bytes]:
    """Return the figure as `png` and `svg`: means with every run, the chance level, and what the paper tells."""

    def draw(figure: Figure) -> None:
        for axes, name in zip(figure.subplots(1, 2, sharey=True), points.panels, strict=True):
            _draw_panel(axes, name, LETTERS[name], points)

    return pictures(draw, width=7.2, height=3.0)


def figure1_table(points: Points) -> Grid:
    """Return the same as a table: mean, spread and number of runs of each point, beside the paper's."""
    rows = [_row(name, point) for name, panel in points.panels.items() for point in panel]
    headings = ("panel", "β", "τ", "runs", "distance", "the paper")
    return Grid(title=TITLE, headings=headings, align="lrrrrl", rows=rows)


def figure1_csv(points: Points) -> Grid:
    """Return the same to compute with: a column for each number, empty where there is none."""
    rows = [_values(name, point) for name, panel in points.panels.items() for point in panel]
    headings = ("panel", "beta", "tau", "runs", "mean", "sd", "paper")
    return Grid(title=TITLE, headings=headings, align="l" * len(headings), rows=rows)


def standing(points: Points | None) -> str:
    """Return in a sentence or two how much of the figure there is, and how to get the rest."""
    if points is None:
        return "Figure 1: not run. `tiedlm reproduce figure1` runs it."
    if not points.missing():
        return _counted(points)
    return f"{_counted(points)} Missing: {_missing(points)}. `tiedlm reproduce figure1` goes on with it."


def beside_the_paper(points: Points) -> str:
    """Return in two sentences how much of the figure there is, and ours at the points of which the paper tells."""
    told = "; ".join(
        f"{_distance(point.distances)} at β = {point.beta:g}, τ = {point.tau:g} ({paper})"
        for name, panel in points.panels.items()
        for point in panel
        if point.distances is not None and (paper := _paper(name, point)) is not None
    )
    distances = f" Distance between the spans of both tables, in brackets the paper's: {told}." if told else ""
    return f"{_counted(points)}{distances} Chance is {points.chance:.3f}."


def _counted(points: Points) -> str:
    left = sum(map(len, points.missing().values()))
    return f"Figure 1: {points.wanted() - left} of {points.wanted()} runs."


def _missing(points: Points) -> str:
    """Return which runs are missing, points that lack the same ones together."""
    places: dict[str, list[str]] = {}
    for (tau, beta), runs in points.missing().items():
        places.setdefault(" ".join(map(str, runs)), []).append(f"(τ {tau:g}, β {beta:g})")
    every = points.wanted() // len(points.runs)
    return "; ".join(
        f"runs {runs} of {'every point' if len(those) == every else ', '.join(those)}" for runs, those in places.items()
    )


def _draw_panel(axes: Axes, name: str, letter: str, points: Points) -> None:
    panel = points.panels[name]
    measured = {getattr(point, name): point.distances for point in panel if point.distances is not None}
    for place, sample in measured.items():
        axes.plot([place] * sample.n, list(sample.by_seed.values()), ".", color=OURS, alpha=0.35, ms=4)
    if measured:
        _draw_means(axes, measured)
    axes.axhline(points.chance, color=CHANCE, lw=1, ls="--", label=f"chance, {points.chance:.3f}")
    told = {getattr(p, name): p.distance for p in FIGURE_1_POINTS if p.panel == name and p.distance is not None}
    if told:
        axes.plot(list(told), list(told.values()), "x", color=PAPER, ms=7, mew=1.8, label="the paper")
    _describe(axes, name, letter, points)


def _draw_means(axes: Axes, measured: Mapping[float, Sample]) -> None:
    means = [sample.mean for sample in measured.values()]
    spreads = [sample.sd or 0.0 for sample in measured.values()]
    form = {"color": OURS, "ms": 4, "lw": 1.4, "elinewidth": 1.0, "capsize": 2.5}
    axes.errorbar(list(measured), means, yerr=spreads, fmt="o-", label=_label(measured), **form)


def _label(measured: Mapping[float, Sample]) -> str:
    runs = sorted({sample.n for sample in measured.values()})
    if runs == [1]:
        return "ours, 1 run"
    return f"ours, mean ± sd, {runs[0] if len(runs) == 1 else f'{runs[0]}–{runs[-1]}'} runs"


def _describe(axes: Axes, name: str, letter: str, points: Points) -> None:
    panel, lacking = points.panels[name], points.missing()
    fixed = {"beta": "tau", "tau": "beta"}[name]
    symbol = {"beta": "β", "tau": "τ"}
    value = f", {symbol[fixed]} = {getattr(panel[0], fixed):g}" if panel else ": not run"
    unfinished = ", unfinished" if any((point.tau, point.beta) in lacking for point in panel) else ""
    titled(axes, f"({letter}) over {symbol[name]}{value}{unfinished}")
    axes.set_xlabel(symbol[name])
    axes.set_ylim(0, 1.05)
    if letter == "a":
        axes.set_ylabel("distance between the spans")
    if panel:
        axes.legend(loc="best")


def _row(name: str, point: Point) -> list[str]:
    letter, sample = LETTERS[name], point.distances
    ours = [NOTHING, NOT_RUN] if sample is None else [str(sample.n), _distance(sample)]
    return [f"({letter})", f"{point.beta:g}", f"{point.tau:g}", *ours, _paper(name, point) or NOTHING]


def _values(name: str, point: Point) -> list[str]:
    sample = point.distances
    ours = ["0", "", ""] if sample is None else [str(sample.n), value(sample.mean), value(sample.sd)]
    return [LETTERS[name], f"{point.beta:g}", f"{point.tau:g}", *ours, _paper(name, point) or ""]


def _paper(name: str, point: Point) -> str | None:
    """Return what the paper tells of a point of a panel; None where it tells nothing."""
    place = (name, point.tau, point.beta)
    return next((known.told for known in FIGURE_1_POINTS if (known.panel, known.tau, known.beta) == place), None)


def _distance(sample: Sample) -> str:
    return f"{sample.mean:.3f}" if sample.sd is None else f"{sample.mean:.3f} ± {sample.sd:.3f}"
