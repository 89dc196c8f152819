"""A plot and a table of what `losses.py` found last: the time as a multiple of stock cross-entropy's, and the memory.

python benchmarks/plot_losses.py                    # results/losses.png and .svg; asks for matplotlib
python benchmarks/plot_losses.py --table            # the table as Markdown; asks for nothing
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from loss_results import GRADIENTS, MEANING, Row, Size, latest, named, table, titled

RESULTS = Path(__file__).parent / "results" / "losses.csv"
COLORS = {"plain": "#999999", "detached": "#0072b2", "through": "#e69f00"}
INCHES_A_BAR, INCHES_A_SIZE, WIDTH = 0.2, 0.9, 11.5


def figure(found: dict[Size, list[Row]]) -> Any:
    """Return the figure: a row for each size, times on the left and memory on the right."""
    from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]
    from matplotlib.patches import Patch  # pyright: ignore[reportMissingImports]

    heights = [INCHES_A_SIZE + INCHES_A_BAR * len(rows) for rows in found.values()]
    whole = Figure(figsize=(WIDTH, sum(heights) + 0.6), layout="constrained")
    panels = whole.subplots(len(found), 2, squeeze=False, height_ratios=heights)
    for (left, right), (size, rows) in zip(panels, found.items(), strict=True):
        _draw(left, rows, "ratio_to_stock", "time of forward + backward, F.cross_entropy(F.linear(...)) = 1", "{:.2f}")
        _draw(right, rows, "extra_memory_mib", "peak memory beyond inputs and gradients, MiB", "{:.0f}")
        left.axvline(1, color="black", linewidth=0.8, linestyle=":")
        left.set_title(titled(size), loc="left", fontsize=10, fontweight="bold")
        right.set_yticklabels([])
    patches = [Patch(color=COLORS[gradient], label=MEANING[gradient]) for gradient in GRADIENTS]
    whole.legend(handles=patches, loc="outside upper center", ncols=len(patches), frameon=False)
    return whole


def _draw(axes: Any, rows: Sequence[Row], column: str, label: str, form: str) -> None:
    """Draw a bar for each row, those of one loss together, the first on top."""
    values = [float(row[column]) for row in rows]
    places = _places(rows)
    bars = axes.barh(places, values, height=0.85, color=[COLORS[row["gradient"]] for row in rows])
    axes.bar_label(bars, [form.format(value) for value in values], padding=3, fontsize=8)
    losses = list(dict.fromkeys(row["loss"] for row in rows))
    of_loss = [[place for place, row in zip(places, rows, strict=True) if row["loss"] == loss] for loss in losses]
    axes.set_yticks([mean(own) for own in of_loss], [named(loss) for loss in losses], fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12 * max(values))
    axes.set_xlabel(label, fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)


def _places(rows: Sequence[Row]) -> list[float]:
    """Return where the bars stand: one below the other, with a gap between losses."""
    places: list[float] = []
    for before, row in zip([None, *rows], rows, strict=False):
        new_loss = before is not None and before["loss"] != row["loss"]
        places.append(places[-1] + (1.4 if new_loss else 1) if places else 0)
    return places


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--table", action="store_true", help="print the table as Markdown, and draw nothing")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="whose figures (default: cpu)")
    parser.add_argument("--dtype", default="float32", help="type of the tables (default: float32)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="CSV to read; the plot goes beside it")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Print the table, or write the plot beside the CSV."""
    options = parsed(arguments)
    found = latest(options.results, options.device, options.dtype)
    if not found:
        sys.exit(f"{options.results} has no figures for {options.device} in {options.dtype}: run losses.py first.")
    if options.table:
        print(table(found))
        return
    try:
        drawn = figure(found)
    except ImportError as error:
        sys.exit(f"The plot needs matplotlib ({error}): pip install matplotlib, or use --table.")
    suffix = "" if (options.device, options.dtype) == ("cpu", "float32") else f"-{options.device}-{options.dtype}"
    for kind in ("png", "svg"):
        path = options.results.with_name(f"losses{suffix}.{kind}")
        drawn.savefig(path, dpi=150, metadata={"Date": None} if kind == "svg" else None)
        print(path)


if __name__ == "__main__":
    main()
