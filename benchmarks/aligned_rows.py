"""Seconds of the three products of a chunk's logits on a CPU: rows one after the other, and rows at cache lines.

    python benchmarks/aligned_rows.py --rounds 15 --threads 1 --precisions float32

The products are the logits H W', their features' gradient G W and their classifier's gradient G' H, as a chunk of the
loss takes them. Both kinds take turns, in a new order every round, and a ratio is the median of those within rounds.
Rows are appended to `benchmarks/results/aligned_rows.csv`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

from command_line import Row, parser_of, write_down
from machine import facts
from tiedlm.losses.logits import logits_into
from tiedlm.losses.workspace import logits_buffer
from turns import Make, in_turns, ratios

WARM_UP = 2
"""Rounds that are not counted."""
TIGHT, AT_LINES = "one after the other", "at cache lines"
RESULTS = Path(__file__).parent / "results" / "aligned_rows.csv"
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Size(NamedTuple):
    """Rows, width and words of a product."""

    rows: int
    width: int
    words: int


SIZES = [Size(700, 200, 33_278), Size(1000, 200, 33_278), Size(700, 650, 33_278), Size(700, 200, 10_001)]
"""Of WikiText-2's words, 2 more than a multiple of 4, and of Penn Treebank's and one."""


def products(logits: Tensor, features: Tensor, classifier: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Return the three products with these logits, or their gradient [C, V], by name."""
    return {
        "H W'": partial(logits_into, logits, features, classifier),
        "G W": partial(torch.mm, logits, classifier),
        "G' H": partial(torch.mm, logits.T, features),
    }


def variants(size: Size, dtype: torch.dtype, name: str) -> dict[str, Make]:
    """Return one of the products with rows of both kinds, on the same factors."""
    features, classifier = (torch.randn(count, size.width).to(dtype) for count in (size.rows, size.words))
    tight = torch.zeros(size.rows, size.words, dtype=dtype)
    at_lines = logits_buffer(size.rows, classifier).zero_()
    both = {TIGHT: tight, AT_LINES: at_lines}
    made = {kind: products(logits, features, classifier)[name] for kind, logits in both.items()}
    return {kind: lambda number, timed=timed: timed for kind, timed in made.items()}


def rows(options: argparse.Namespace, sizes: Sequence[Size]) -> list[Row]:
    """Measure all and return a row of the CSV for each product, precision and kind."""
    found: list[Row] = []
    precisions: Sequence[str] = options.precisions
    for size, precision, name in product(sizes, precisions, ("H W'", "G W", "G' H")):
        seconds = in_turns(variants(size, PRECISIONS[precision], name), WARM_UP + options.rounds, WARM_UP)
        relative = ratios(seconds, TIGHT)
        found += [
            {
                **facts(),
                **size._asdict(),
                "product": name,
                "precision": precision,
                "rounds": options.rounds,
                "begin": kind,
                "median_seconds": f"{median(times):.5f}",
                "ratio": f"{relative[kind]:.3f}",
            }
            for kind, times in seconds.items()
        ]
    return found


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = parser_of(__doc__, RESULTS)
    parser.add_argument("--rounds", type=int, default=15, help="rounds that are counted (default: 15)")
    both = list(PRECISIONS)
    parser.add_argument(
        "--precisions", nargs="+", choices=both, default=both, help="types of what is multiplied (default: both)"
    )
    return parser.parse_args(arguments)


def line(row: Row) -> str:
    """Return a row of the CSV in short."""
    sizes = f"{row['rows']} x {row['width']} x {row['words']}"
    what = f"{sizes:<20}{row['precision']:<9}{row['product']:<6}{row['begin']:<20}"
    return f"{what}{row['median_seconds']} s  x {row['ratio']}"


def main() -> None:
    """Measure, append, print."""
    options = parsed()
    if options.threads:
        torch.set_num_threads(options.threads)
    write_down(options.output, rows(options, SIZES), line)


if __name__ == "__main__":
    main()
