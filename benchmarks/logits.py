"""Seconds of the bfloat16 product that gives a chunk's logits on a CPU: whole, and in blocks of words.

    python benchmarks/logits.py --rounds 15 --threads 1

The kinds take turns on the same factors, in a new order every round, and a ratio is the median of those within rounds.
Rows are appended to `benchmarks/results/logits.csv`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from command_line import Row, parser_of, positive, write_down
from machine import FACTS, begin_csv
from products import Size, every_round, measured, sizes_of
from tiedlm.losses import logits
from turns import Make

WHOLE = "whole"
BLOCKS = (512, 1024, 2048, 4096, 8192)
RESULTS = Path(__file__).parent / "results" / "logits.csv"
COLUMNS = (*FACTS, *Size._fields, "rounds", "block", "median_seconds", "ratio_to_whole")


SIZES = [Size(700, 200, 10_000), Size(1050, 200, 10_000), Size(700, 200, 33_278), Size(1050, 200, 33_278)]
SIZES += [Size(700, 650, 10_000), Size(700, 650, 33_278)]
"""Of the small and the medium network: a window's rows alone, and with half as many distinct targets."""


def product(words: int, out: Tensor, rows: Tensor, table: Tensor) -> Tensor:
    """Write the logits into `out` with so many words in a block."""
    logits.BLOCK_WORDS = words
    return logits.logits_into(out, rows, table)


def variants(size: Size) -> dict[str, Make]:
    """Return the product as a whole and in blocks, all on the same factors."""
    rows, table = (torch.randn(count, size.width).bfloat16() for count in (size.rows, size.words))
    out = torch.empty(size.rows, size.words, dtype=torch.bfloat16)
    blocks = {WHOLE: size.words, **{str(words): words for words in BLOCKS if words < size.words}}
    made = {name: partial(product, words, out, rows, table) for name, words in blocks.items()}
    return every_round(made)


def rows(options: argparse.Namespace, sizes: list[Size]) -> Iterator[Row]:
    """Measure all sizes, and yield a row of the CSV for each kind of product as it is measured."""
    for size in sizes:
        yield from measured(size._asdict(), variants(size), options.rounds, "block", "ratio_to_whole")


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = parser_of(__doc__, RESULTS)
    parser.add_argument("--rounds", type=positive, default=15, help="rounds that are counted (default: 15)")
    return parser.parse_args(arguments)


def line(row: Row) -> str:
    """Return a row of the CSV in short."""
    return f"{sizes_of(row)}{row['block']:<7}{row['median_seconds']} s  x {row['ratio_to_whole']}"


def main() -> None:
    """Measure, append, print."""
    options = parsed()
    if options.threads:
        torch.set_num_threads(options.threads)
    begin_csv(options.output, COLUMNS)
    write_down(options.output, rows(options, SIZES), line)


if __name__ == "__main__":
    main()
