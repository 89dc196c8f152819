"""Figures 1 and 2, drawn by Matplotlib (the extra `figures`) so that a picture drawn again is equal to the byte.

The same versions of Matplotlib and Pillow are needed for that; `constraints.txt` has them. Nothing of the user's own
settings counts, no display is asked for, and neither dates nor versions are written into the files.
"""

from __future__ import annotations

import io
import statistics
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tiedlm.errors import ConfigError
from tiedlm.paper.figure1 import Figure1, Setting
from tiedlm.paper.published import FIGURE_1_POINTS
from tiedlm.paper.results import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MODELS = {"vd": ("#555555", "VD"), "al": ("#E69F00", "+AL"), "re": ("#0072B2", "+RE"), "real": ("#009E73", "+REAL")}
"""Model → colour (of Okabe and Ito's palette, which the colour-blind tell apart) and label."""
OURS, PAPER, CHANCE = "#0072B2", "#D55E00", "#555555"

SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "tiedlm",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "savefig.dpi": 150,
}
METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
FORMATS = tuple(METADATA)

SIZES = ("small", "medium", "large")
"""Panels of Figure 2; the paper shows the first and the last."""
HEADROOM = 1.6
"""Upper end of Figure 2's axis, in units of the lowest perplexity: the first epochs lie above it."""

Epochs = list[list[float]]
"""Validation perplexity by epoch of each training behind a result, the first training's first."""


def _render(draw: Callable[[Figure], None], *, width: float, height: float) -> dict[str, bytes]:
    """Return a picture, `width` by `height` inches, as `png` and as `svg`; `draw` is given an empty figure for each."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            "Figures are drawn by Matplotlib, which is not installed: pip install 'tiedlm[figures]'."
        ) from error
    pictures = {}
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(SETTINGS)
        for name in FORMATS:
            figure = Figure(figsize=(width, height), layout="constrained")
            draw(figure)
            buffer = io.BytesIO()
            figure.savefig(buffer, format=name, metadata=METADATA[name])
            pictures[name] = buffer.getvalue()
    return pictures


def draw_figure1(figure1: Figure1) -> dict[str, bytes]:
    """Return the figure as `png` and `svg`: means with every run, the chance level, and what the paper gives.

    Raises:
        ConfigError: Matplotlib is not installed.
    """

    def draw(figure: Figure) -> None:
        for axes, name in zip(figure.subplots(1, 2, sharey=True), figure1.panels, strict=True):
            _draw_distances(axes, name, figure1)

    return _render(draw, width=7.2, height=3.0)


def _draw_distances(axes: Axes, name: str, figure1: Figure1) -> None:
    panel, missing = figure1.panels[name], figure1.missing()
    measured = {getattr(point, name): point.distances for point in panel if point.distances is not None}
    for place, sample in measured.items():
        axes.plot([place] * sample.n, list(sample.by_seed.values()), ".", color=OURS, alpha=0.35, ms=4)
    if measured:
        means = [sample.mean for sample in measured.values()]
        spreads = [sample.sd or 0.0 for sample in measured.values()]
        runs = sorted({sample.n for sample in measured.values()})
        counted = f"{runs[0]}" if len(runs) == 1 else f"{runs[0]}–{runs[-1]}"
        label = "ours, 1 run" if runs == [1] else f"ours, mean ± sd, {counted} runs"
        form = {"color": OURS, "ms": 4, "lw": 1.4, "elinewidth": 1.0, "capsize": 2.5}
        axes.errorbar(list(measured), means, yerr=spreads, fmt="o-", label=label, **form)
    axes.axhline(figure1.chance, color=CHANCE, lw=1, ls="--", label=f"chance, {figure1.chance:.3f}")
    printed = {getattr(p, name): p.distance for p in FIGURE_1_POINTS if p.panel == name and p.distance is not None}
    if printed:
        axes.plot(list(printed), list(printed.values()), "x", color=PAPER, ms=7, mew=1.8, label="the paper")
    letter, symbol, fixed = {"beta": ("a", "β", "tau"), "tau": ("b", "τ", "beta")}[name]
    other = {"tau": "τ", "beta": "β"}[fixed]
    unfinished = ", unfinished" if any(Setting(point.tau, point.beta) in missing for point in panel) else ""
    _title(axes, f"({letter}) over {symbol}, {other} = {getattr(panel[0], fixed):g}{unfinished}")
    axes.set_xlabel(symbol)
    axes.set_ylim(0, 1.05)
    if letter == "a":
        axes.set_ylabel("distance between the spans")
    axes.legend(loc="best")


def epochs_by_training(rows: Mapping[str, Row]) -> dict[str, dict[str, list[Epochs]]]:
    """Return size → model → the epochs of each seed, for the sizes and models that were run."""
    panels = {}
    for size in SIZES:
        models = {
            model: [
                [each.valid_by_epoch for each in result.trainings_in_order()]
                for result in rows[f"ptb-{size}-{model}"].results.values()
            ]
            for model in MODELS
        }
        if any(models.values()):
            panels[size] = {model: seeds for model, seeds in models.items() if seeds}
    return panels


def draw_figure2(rows: Mapping[str, Row]) -> dict[str, bytes] | None:
    """Return validation perplexity by epoch of the models on Penn Treebank, a panel a size; None where none was run.

    Raises:
        ConfigError: Matplotlib is not installed.
    """
    panels = epochs_by_training(rows)
    if not panels:
        return None

    def draw(figure: Figure) -> None:
        grid = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (size, models) in zip(grid, panels.items(), strict=True):
            _draw_epochs(axes, size, models)

    return _render(draw, width=1.0 + 4.2 * len(panels), height=3.6)


def _draw_epochs(axes: Axes, size: str, models: dict[str, list[Epochs]]) -> None:
    for model, seeds in models.items():
        colour, label = MODELS[model]
        counted = f"{len(seeds)} seed" + ("s" if len(seeds) > 1 else "")
        for epochs in seeds if len(seeds) > 1 else []:
            for xs, ys, style in _segments(epochs):
                axes.plot(xs, ys, style, color=colour, lw=0.7, alpha=0.35)
        for number, (xs, ys, style) in enumerate(_segments(_mean(seeds))):
            axes.plot(xs, ys, style, color=colour, lw=1.5, label=None if number else f"{label}, {counted}")
    if any(len(epochs) > 1 for seeds in models.values() for epochs in seeds):
        axes.plot([], [], "--", color="#555555", lw=1.5, label="second training")
    lowest = min(value for seeds in models.values() for epochs in seeds for training in epochs for value in training)
    axes.set_ylim(0.98 * lowest, HEADROOM * lowest)
    axes.set_xlabel("epoch")
    axes.set_ylabel("validation perplexity")
    _title(axes, f"Penn Treebank, {size} network")
    axes.legend(loc="upper right", frameon=True, edgecolor="none", framealpha=0.8)


def _mean(seeds: list[Epochs]) -> Epochs:
    """Return the mean over seeds: of each training over those that have it."""
    trainings = range(max(map(len, seeds)))
    shared = [[epochs[number] for epochs in seeds if number < len(epochs)] for number in trainings]
    return [[statistics.fmean(values) for values in zip(*training, strict=True)] for training in shared]


def _segments(epochs: Epochs) -> list[tuple[list[int], list[float], str]]:
    """Return epochs, perplexities and line style of each training; a later one begins where the one before ended."""
    segments, before = [], 0
    for number, training in enumerate(epochs):
        segments.append((list(range(before + 1, before + len(training) + 1)), training, "--" if number else "-"))
        before += len(training)
    return segments


def _title(axes: Axes, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=9)
