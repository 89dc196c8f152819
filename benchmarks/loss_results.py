"""The latest figures of `results/losses.csv` at each size, and the table that is made of them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

Row = dict[str, str]
Size = tuple[str, ...]
"""Rows, words and width."""
RUN = ("commit", "device", "processor", "threads", "torch", "dtype", "rounds")
"""What all rows of one run at one size have in common."""
GRADIENTS = ("plain", "detached", "through")
MEANING = {
    "plain": "cross-entropy (γ = 0)",
    "detached": "augmented, target detached",
    "through": "augmented, through the target",
}
STOCK = "cross_entropy"
NAMES = {
    STOCK: "F.cross_entropy",
    "torch_linear": "F.linear_cross_entropy",
    "torch_linear_chunked": "the same, in chunks",
    "liger": "Liger, fused",
    "cut": "Apple's cut cross-entropy",
    "cut_exact": "the same, no gradient left out",
    "naive": "augmented as it reads",
}
"""What others' losses are called; ours go by the name of the implementation."""


def latest(path: Path, device: str, dtype: str) -> dict[Size, list[Row]]:
    """Return size → rows of its latest run on a device; `device` is `cpu`, or anything else for all that is not."""
    with path.open(newline="") as file:
        everything = [row for row in csv.DictReader(file) if row["dtype"] == dtype]
    rows = [row for row in everything if (row["device"] == "cpu") == (device == "cpu")]
    sizes = dict.fromkeys(_size(row) for row in rows)
    return {size: _last_run([row for row in rows if _size(row) == size]) for size in sorted(sizes, key=_smaller)}


def _last_run(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of the run that the last one is from, the last for each loss."""
    run = [row for row in rows if all(row[name] == rows[-1][name] for name in RUN)]
    return list({(row["loss"], row["gradient"]): row for row in run}.values())


def _size(row: Row) -> Size:
    return row["rows"], row["words"], row["width"]


def _smaller(size: Size) -> tuple[int, tuple[int, ...]]:
    numbers = tuple(map(int, size))
    return numbers[0] * numbers[1], numbers


def titled(size: Size) -> str:
    """Return the size in words."""
    return "{:,} rows, {:,} words, width {:,}".format(*map(int, size))


def named(loss: str) -> str:
    """Return what a loss is called for a reader."""
    return NAMES.get(loss, f"tiedlm, {loss}")


def table(found: dict[Size, list[Row]]) -> str:
    """Return the ratios to stock cross-entropy and the extra memory, as Markdown: a part for each size."""
    return "\n\n".join(_part(size, rows) for size, rows in found.items())


def _part(size: Size, rows: Sequence[Row]) -> str:
    head = f"{titled(size)} ({rows[0]['distinct_targets']} distinct targets)"
    stock = next(row for row in rows if row["loss"] == STOCK)
    lines = [
        f"| {head} | {' | '.join(MEANING[gradient] for gradient in GRADIENTS)} | MiB more, in this order |",
        "|---|---:|---:|---:|---|",
    ]
    for loss in dict.fromkeys(row["loss"] for row in rows):
        own = {row["gradient"]: row for row in rows if row["loss"] == loss}
        ratios = [f"{float(own[gradient]['ratio_to_stock']):.2f}" if gradient in own else "" for gradient in GRADIENTS]
        if loss == STOCK:
            ratios[0] = f"1 ({1000 * float(stock['median_seconds']):.0f} ms)"
        memory = ", ".join(own[gradient]["extra_memory_mib"] for gradient in GRADIENTS if gradient in own)
        lines.append(f"| {named(loss)} | {' | '.join(ratios)} | {memory} |")
    return "\n".join([*lines, "", _conditions(rows[-1])])


def _conditions(row: Row) -> str:
    where = row["processor"] if row["device"] == "cpu" else row["device"]
    return (
        f"{where}, threads: {row['threads']}, {row['dtype']}, torch {row['torch']}, commit {row['commit'][:7]}, "
        f"{row['date'][:10]}, medians of {row['rounds']} rounds."
    )
