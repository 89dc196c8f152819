"""Figure 2: validation perplexity by epoch, for the four models of each size on Penn Treebank."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tiedlm.paper.collect import Row, stages
from tiedlm.paper.drawing import MODELS, pictures, titled
from tiedlm.paper.layout import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZES = ("small", "medium", "large")
"""The paper shows the first and the last."""
HEADROOM = 1.6
"""Upper end of the axis, in units of the lowest perplexity: the first epochs lie above it."""

Curve = list[list[float]]
"""Validation perplexity by epoch of each training behind a result, the first training's first."""


def curve(result: Result) -> Curve:
    """Return the validation perplexity after each epoch, a list for each training behind a result."""
    return [stage.valid_perplexities() for stage in stages(result)]


def panels(rows: Mapping[str, Row]) -> dict[str, dict[str, list[Curve]]]:
    """Return size → model → one curve a seed, for the sizes and models that were run."""
    found = {size: {m: [curve(r) for r in rows[f"ptb-{size}-{m}"].results.values()] for m in MODELS} for size in SIZES}
    run = {size: {model: curves for model, curves in models.items() if curves} for size, models in found.items()}
    return {size: models for size, models in run.items() if models}


def figure2(rows: Mapping[str, Row]) -> dict[str, bytes] | None:
    """Return the figure as `png` and `svg`, a panel for each size that was run; None where none was."""
    found = panels(rows)
    if not found:
        return None

    def draw(figure: Figure) -> None:
        grid = figure.subplots(1, len(found), squeeze=False)[0]
        for axes, (size, models) in zip(grid, found.items(), strict=True):
            _draw_panel(axes, size, models)

    return pictures(draw, width=1.0 + 4.2 * len(found), height=3.6)


def _draw_panel(axes: Axes, size: str, models: dict[str, list[Curve]]) -> None:
    for model, curves in models.items():
        colour, label = MODELS[model]
        seeds = f"{len(curves)} seed" + ("s" if len(curves) > 1 else "")
        for one in curves if len(curves) > 1 else []:
            for xs, ys, style in _stretches(one):
                axes.plot(xs, ys, style, color=colour, lw=0.7, alpha=0.35)
        for number, (xs, ys, style) in enumerate(_stretches(_mean(curves))):
            axes.plot(xs, ys, style, color=colour, lw=1.5, label=None if number else f"{label}, {seeds}")
    if any(len(one) > 1 for curves in models.values() for one in curves):
        axes.plot([], [], "--", color="#555555", lw=1.5, label="second training")
    lowest = min(value for curves in models.values() for one in curves for stage in one for value in stage)
    axes.set_ylim(0.98 * lowest, HEADROOM * lowest)
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation perplexity")
    titled(axes, f"Penn Treebank, {size} network")
    axes.legend(loc="upper right", frameon=True, edgecolor="none", framealpha=0.8)


def _mean(curves: list[Curve]) -> Curve:
    """Return the mean over seeds: of each training over those that have it."""
    trainings = range(max(map(len, curves)))
    shared = [[one[number] for one in curves if number < len(one)] for number in trainings]
    return [[statistics.fmean(values) for values in zip(*stage, strict=True)] for stage in shared]


def _stretches(one: Curve) -> list[tuple[list[int], list[float], str]]:
    """Return epochs, perplexities and line style of each training; a later one goes on where the one before ended."""
    found, before = [], 0
    for number, stage in enumerate(one):
        found.append((list(range(before + 1, before + len(stage) + 1)), stage, "--" if number else "-"))
        before += len(stage)
    return found
