"""`results/` → every table, figure and generated page: the same bytes each time, without torch, corpus or network.

Figures are drawn by Matplotlib (the extra `figures`); for the same bytes it takes the versions of Matplotlib and Pillow
in `constraints.txt`. Nothing of the user's own settings counts, no display is asked for, and neither dates nor versions
are written into the files.
"""

from __future__ import annotations

import io
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiedlm.errors import ConfigError, RunError
from tiedlm.files import disk_errors_as_run_errors, write_bytes
from tiedlm.paper.figure1 import Figure1, Setting, comparison_text, read_outcomes, summary_text
from tiedlm.paper.plan import summary_text as rows_text
from tiedlm.paper.published import CONTROLS, FIGURE_1_POINTS
from tiedlm.paper.results import Row, read_rows
from tiedlm.paper.statistics import pooled_sd
from tiedlm.paper.tables import FIGURE_1_TITLE, Table, all_tables, readme_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TABLES, FIGURES = Path("docs", "tables"), Path("docs", "figures")
README, PAGE = Path("README.md"), Path("docs", "results.md")
BEGIN = "<!-- made by `tiedlm reproduce --render`: edit results, not this -->"
END = "<!-- end of what is made -->"

Outputs = dict[Path, bytes | None]
"""Path below the project's folder → content; None: no such file may be there."""
TABLE_NOTES = """\
Ours: mean ± sample standard deviation over seeds; a single value for one seed. Results after one and after two
trainings have rows of their own; only those after as many trainings as in the paper are compared with it."""
FIGURE_NOTE = """\
Thick lines are means over seeds, thin lines seeds, dashed lines second trainings. The first epochs lie above the
frame."""


def rendered(project: Path) -> Outputs:
    """Return all that is made of the project's results.

    Raises:
        RunError: a result that is refused, a page without its markers.
        ConfigError: Matplotlib is not installed.
    """
    rows, figure1 = read_rows(project / "results"), read_outcomes(project / "results")
    tables = all_tables(rows, figure1)
    outputs: Outputs = {}
    for table in tables:
        absent = table.optional and not table.rows
        forms = {"md": f"# {table.title}\n\n{table.markdown()}", "tex": table.latex(), "csv": table.csv()}
        for form, text in forms.items():
            outputs[TABLES / f"{table.name}.{form}"] = None if absent else text.encode()
    pictures = {"figure1": None if figure1 is None else draw_figure1(figure1), "figure2": draw_figure2(rows)}
    for name, picture in pictures.items():
        for form in FORMATS:
            outputs[FIGURES / f"{name}.{form}"] = None if picture is None else picture[form]
    outputs[PAGE] = replace_between_markers(project / PAGE, page_part(rows, figure1, tables)).encode()
    outputs[README] = replace_between_markers(project / README, readme_part(rows, figure1)).encode()
    return outputs


def changes(project: Path) -> Outputs:
    """Return what of `rendered` is otherwise, or missing, in the project's folder; raises as `rendered`."""
    outputs = rendered(project)
    files = {path: (project / path).read_bytes() for path in outputs if (project / path).is_file()}
    return {path: content for path, content in outputs.items() if content != files.get(path)}


def write(project: Path) -> list[Path]:
    """Write what differs and return its paths; raises as `rendered`, and RunError where the disk is full or fails."""
    changed = changes(project)
    for path, content in changed.items():
        with disk_errors_as_run_errors(project / path):
            if content is None:
                (project / path).unlink()
            else:
                write_bytes(project / path, content)
    return list(changed)


def readme_part(rows: Mapping[str, Row], figure1: Figure1 | None) -> str:
    tests = (row.test() for row in rows.values() if row.published.table != CONTROLS)
    spread = pooled_sd(test for test in tests if test is not None)
    table = readme_table(rows, spread)
    next_seed = ""
    if spread is not None:
        next_seed = (
            "\nNext seed: 95 % prediction interval for one more seed, from the standard deviation between seeds of\n"
            f"log perplexity, pooled over rows of two seeds or more: {spread.sd:.4f}, with "
            f"{spread.degrees} {'degree' if spread.degrees == 1 else 'degrees'} of freedom.\n"
        )
    figure = "" if figure1 is None else f"\n{comparison_text(figure1)}\n"
    return f"{rows_text(rows)}\n{table.markdown() if table.rows else ''}{next_seed}{figure}"


def page_part(rows: Mapping[str, Row], figure1: Figure1 | None, tables: list[Table]) -> str:
    parts = [rows_text(rows), TABLE_NOTES]
    for table in tables:
        if table.name == "figure1":
            parts.append(f"### {table.title}")
            parts.append("Not run." if figure1 is None else _figure1_part(figure1, table))
            parts.append("### Figure 2: validation perplexity by epoch")
            parts.append(
                f"![Figure 2](figures/figure2.png)\n\n{FIGURE_NOTE}" if epochs_by_training(rows) else "Not run."
            )
        elif table.rows or not table.optional:
            parts += [f"### {table.title}\n\n{table.markdown()}", *([table.notes] if table.notes else [])]
    return "\n\n".join(part.strip("\n") for part in parts)


def _figure1_part(figure1: Figure1, table: Table) -> str:
    return (
        f"![{FIGURE_1_TITLE}](figures/figure1.png)\n\n{table.markdown()}\n{summary_text(figure1)}\n"
        f"Chance, the distance of two random subspaces of {figure1.units} of {figure1.words:,} dimensions: "
        f"sqrt(1 - d/V) = {figure1.chance:.3f}."
    )


def replace_between_markers(page: Path, part: str) -> str:
    """Return a page's text with `part` between its two marker lines; RunError where these are not there, in order."""
    if not page.is_file():
        raise RunError(f"{page} is missing. Name the folder of the project, with its README and docs: --project DIR.")
    lines = page.read_text(encoding="utf-8").splitlines(keepends=True)
    places = [[number for number, line in enumerate(lines) if line.strip() == marker] for marker in (BEGIN, END)]
    if [len(numbers) for numbers in places] != [1, 1] or places[0] > places[1]:
        raise RunError(
            f"{page} must have the line {BEGIN!r} once, and the line {END!r} once below it, but has them "
            f"{len(places[0])} and {len(places[1])} times. Put them where the tables belong."
        )
    (begin,), (end,) = places
    return "".join([*lines[: begin + 1], "\n", part.strip("\n"), "\n\n", *lines[end:]])


# The figures

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
TITLE: Any = {"loc": "left", "fontsize": 9}
METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}
FORMATS = tuple(METADATA)

SIZES = ("small", "medium", "large")
"""Panels of Figure 2; the paper shows the first and the last."""
HEADROOM = 1.6
"""Upper end of Figure 2's axis, in units of the lowest perplexity: the first epochs lie above it."""

Epochs = list[list[float]]
"""Validation perplexity by epoch of each training behind a result, the first training's first."""


def _drawn(draw: Callable[[Figure], None], *, width: float, height: float) -> dict[str, bytes]:
    """Return a picture, its size in inches, as `png` and as `svg`; raises ConfigError without Matplotlib."""
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
    """Return the figure as `png` and `svg`: means with every run, the chance level, and what the paper gives."""

    def draw(figure: Figure) -> None:
        for axes, name in zip(figure.subplots(1, 2, sharey=True), figure1.panels, strict=True):
            _draw_distances(axes, name, figure1)

    return _drawn(draw, width=7.2, height=3.0)


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
    axes.set_title(f"({letter}) over {symbol}, {other} = {getattr(panel[0], fixed):g}{unfinished}", **TITLE)
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
    """Return validation perplexity by epoch of the models on Penn Treebank, a panel a size; None where none was run."""
    panels = epochs_by_training(rows)
    if not panels:
        return None

    def draw(figure: Figure) -> None:
        grid = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (size, models) in zip(grid, panels.items(), strict=True):
            _draw_epochs(axes, size, models)

    return _drawn(draw, width=1.0 + 4.2 * len(panels), height=3.6)


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
    axes.set_title(f"Penn Treebank, {size} network", **TITLE)
    axes.legend(loc="upper right", frameon=True, edgecolor="none", framealpha=0.8)


def _mean(seeds: list[Epochs]) -> Epochs:
    """Return the mean over seeds: of each training over those that have it."""
    trainings = range(max(map(len, seeds)))
    shared = [[epochs[number] for epochs in seeds if number < len(epochs)] for number in trainings]
    return [[statistics.fmean(values) for values in zip(*training, strict=True)] for training in shared]


def _segments(epochs: Epochs) -> list[tuple[list[int], list[float], str]]:
    """Return epochs, perplexities and line style of each training, end to end."""
    segments, before = [], 0
    for number, training in enumerate(epochs):
        segments.append((list(range(before + 1, before + len(training) + 1)), training, "--" if number else "-"))
        before += len(training)
    return segments
