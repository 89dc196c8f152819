"""Seconds of the three products of a chunk's logits on a CPU: rows one after the other, and rows at cache lines.

    python benchmarks/aligned_rows.py --rounds 15 --threads 1 --precisions float32

The products are the logits H W', their features' gradient G W and their classifier's gradient G' H, as a chunk of the
loss takes them. Both kinds take turns, in a new order every round, and a ratio is the median of those within rounds.
Rows are appended to `benchmarks/results/aligned_rows.csv`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from pathlib import Path

import torch
from torch import Tensor

from command_line import Row, parser_of, positive, write_down
from machine import FACTS, begin_csv
from products import Size, every_round, measured, sizes_of
from tiedlm.losses.logits import logits_into
from tiedlm.losses.workspace import logits_buffer
from turns import Make

TIGHT, AT_LINES = "one after the other", "at cache lines"
RESULTS = Path(__file__).parent / "results" / "aligned_rows.csv"
COLUMNS = (*FACTS, *Size._fields, "product", "precision", "rounds", "begin", "median_seconds", "ratio")
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


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
    return every_round(made)


def rows(options: argparse.Namespace, sizes: Sequence[Size]) -> Iterator[Row]:
    """Measure all, and yield a row of the CSV for each product, precision and kind as it is measured."""
    precisions: Sequence[str] = options.precisions
    for size, precision, name in product(sizes, precisions, ("H W'", "G W", "G' H")):
        what: Row = {**size._asdict(), "product": name, "precision": precision}
        yield from measured(what, variants(size, PRECISIONS[precision], name), options.rounds, "begin", "ratio")


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = parser_of(__doc__, RESULTS)
    parser.add_argument("--rounds", type=positive, default=15, help="rounds that are counted (default: 15)")
    both = list(PRECISIONS)
    parser.add_argument(
        "--precisions", nargs="+", choices=both, default=both, help="types of what is multiplied (default: both)"
    )
    return parser.parse_args(arguments)


def line(row: Row) -> str:
    """Return a row of the CSV in short."""
    what = f"{sizes_of(row)}{row['precision']:<9}{row['product']:<6}{row['begin']:<20}"
    return f"{what}{row['median_seconds']} s  x {row['ratio']}"


def main() -> None:
    """Measure, append, print."""
    options = parsed()
    if options.threads:
        torch.set_num_threads(options.threads)
    begin_csv(options.output, COLUMNS)
    write_down(options.output, rows(options, SIZES), line)


if __name__ == "__main__":
    main()
