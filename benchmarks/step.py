"""Seconds and peak memory of one training step of `ptb-small-*`, beside a plain PyTorch word LSTM of the same size.

    python benchmarks/step.py --batches 40 --threads 2

All variants live in one process and take turns, in a new order every round, so that a machine that is slow for a while
is slow for all of them. Peak memory is that of a process of its own for each variant. Rows are appended to
`benchmarks/results/step.csv`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Protocol

import torch

from command_line import parser_of, positive, printed_by, write_down
from machine import FACTS, begin_csv, facts, peak_memory_mib
from step_variants import VARIANTS, Step, Variant
from step_windows import Window, windows
from turns import Make, in_turns, ratios

WARM_UP = 3
"""Rounds that are not counted."""
MEMORY_STEPS = 3
"""Steps after which memory has reached its peak."""
RESULTS = Path(__file__).parent / "results" / "step.csv"
COLUMNS = (*FACTS, "words", "batches", "model", "gradient", "precision", "median_seconds", "fastest_seconds")
COLUMNS += ("ratio_to_plain", "peak_memory_mib", "step_memory_mib")


class Makes(Protocol):
    """What `measure` asks of a variant: a name, and a step that is made anew."""

    @property
    def name(self) -> str: ...

    def make(self) -> Step: ...


def measure(variants: Sequence[Makes], some: list[Window]) -> dict[str, list[float]]:
    """Return variant → seconds of each step; one window a round, the first `WARM_UP` not counted."""

    def in_rounds(step: Step) -> Make:
        return lambda number: partial(step, *some[number])

    return in_turns({variant.name: in_rounds(variant.make()) for variant in variants}, len(some), WARM_UP)


def memory(variant: Variant, some: list[Window]) -> dict[str, float]:
    """Return the peak memory of this process before and after a few steps, in MiB."""
    step, before = variant.make(), peak_memory_mib()
    for inputs, targets in some:
        step(inputs, targets)
    return {"before_mib": before, "peak_mib": peak_memory_mib()}


def memory_in_a_process(variant: Variant, options: argparse.Namespace) -> dict[str, float]:
    """Return `memory` of a process that does nothing else."""
    arguments = ["--memory-of", variant.name, "--threads", str(torch.get_num_threads())]
    if options.data_dir:
        arguments += ["--data-dir", str(options.data_dir)]
    return printed_by(__file__, arguments)


def rows(options: argparse.Namespace, variants: list[Variant]) -> list[dict[str, object]]:
    """Measure all variants and return a row of the CSV for each."""
    words, some = windows(WARM_UP + options.batches, options.data_dir)
    memories = [memory_in_a_process(variant, options) for variant in variants]
    seconds = measure(variants, some)
    relative = ratios(seconds, variants[0].name)
    return [
        {
            **facts(),
            "words": words,
            "batches": options.batches,
            "model": variant.model,
            "gradient": variant.gradient,
            "precision": variant.precision,
            "median_seconds": f"{median(seconds[variant.name]):.5f}",
            "fastest_seconds": f"{min(seconds[variant.name]):.5f}",
            "ratio_to_plain": f"{relative[variant.name]:.3f}",
            "peak_memory_mib": f"{used['peak_mib']:.0f}",
            "step_memory_mib": f"{used['peak_mib'] - used['before_mib']:.0f}",
        }
        for variant, used in zip(variants, memories, strict=True)
    ]


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = parser_of(__doc__, RESULTS)
    parser.add_argument("--batches", type=positive, default=40, help="rounds that are counted (default: 40)")
    parser.add_argument("--data-dir", type=Path, help="folder with the Penn Treebank (else made-up words)")
    parser.add_argument("--memory-of", choices=[v.name for v in VARIANTS], help="print this variant's memory, as JSON")
    return parser.parse_args(arguments)


def main() -> None:
    """Measure, append, print."""
    options = parsed()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.memory_of:
        variant = next(variant for variant in VARIANTS if variant.name == options.memory_of)
        print(json.dumps(memory(variant, windows(MEMORY_STEPS, options.data_dir)[1])))
        return
    begin_csv(options.output, COLUMNS)
    write_down(options.output, rows(options, VARIANTS), line)


def line(row: dict[str, object]) -> str:
    """Return a row of the CSV in short."""
    return (
        f"{row['model']:<15}{row['gradient']:<10}{row['precision']:<10}{row['median_seconds']} s  "
        f"x {row['ratio_to_plain']}  peak {row['peak_memory_mib']} MiB, of it the steps' {row['step_memory_mib']}"
    )


if __name__ == "__main__":
    main()
