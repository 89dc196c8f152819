"""Seconds and peak memory of the loss, forward and backward, beside stock cross-entropy at the same size.

    python benchmarks/losses.py --rounds 15 --threads 2

All variants live in one process and take turns, in a new order every round, so that a machine that is slow for a while
is slow for all of them; what is quoted is the median over rounds of the ratio within a round. Memory is what one pass
adds to a process of its own beyond inputs and gradients. Rows are appended to `benchmarks/results/losses.csv`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median

import torch

from command_line import parser_of, printed_by, write_down
from loss_variants import VARIANTS, Case, Variant, made
from machine import facts, peak_memory_mib
from turns import Make, in_turns, ratios

SIZES = ((700, 10_000, 200), (700, 10_000, 650), (700, 33_278, 200), (4096, 128_000, 512))
LARGE = 10**8
"""Logits from which a variant that holds several arrays of them is left out, and rounds are fewer."""
WARM_UP = 2
RESULTS = Path(__file__).parent / "results" / "losses.csv"


def variants_at(case: Case) -> list[Variant]:
    """Return the variants that fit the size."""
    return [variant for variant in VARIANTS if variant.large or case.rows * case.words < LARGE]


def measure(case: Case, variants: list[Variant], rounds: int) -> dict[str, list[float]]:
    """Return variant → seconds in each round, those of the warm-up left out."""

    def in_rounds(variant: Variant) -> Make:
        return lambda number: variant.step(case)

    return in_turns({variant.label: in_rounds(variant) for variant in variants}, WARM_UP + rounds, WARM_UP)


def memory(case: Case, variant: Variant) -> float:
    """Return what this process's peak memory grows by in a pass, in MiB, once inputs and gradients are there."""
    small = made(8, 16, 4)
    variant.step(small)()  # what is loaded at a first call is no memory of the loss's
    case.features.grad, case.classifier.grad = torch.ones_like(case.features), torch.ones_like(case.classifier)
    before = peak_memory_mib()
    case.features.grad = case.classifier.grad = None
    variant.step(case)()
    return peak_memory_mib() - before


def memory_in_a_process(size: tuple[int, int, int], variant: Variant) -> float:
    """Return `memory` of a process that does nothing else."""
    wanted = [variant.label, *map(str, size)]
    return printed_by(__file__, ["--threads", str(torch.get_num_threads()), "--memory-of", *wanted])


def rows(size: tuple[int, int, int], rounds: int) -> list[dict[str, object]]:
    """Measure all variants at one size and return a row of the CSV for each."""
    case = made(*size)
    variants = variants_at(case)
    seconds = measure(case, variants, rounds if case.rows * case.words < LARGE else max(3, rounds // 5))
    relative = ratios(seconds, variants[0].label)
    return [
        {
            **facts(),
            "rows": case.rows,
            "words": case.words,
            "width": case.width,
            "distinct_targets": len(case.targets.unique()),
            "loss": variant.name,
            "gradient": variant.gradient,
            "rounds": len(seconds[variant.label]),
            "median_seconds": f"{median(seconds[variant.label]):.5f}",
            "ratio_to_stock": f"{relative[variant.label]:.3f}",
            "extra_memory_mib": f"{memory_in_a_process(size, variant):.0f}",
        }
        for variant in variants
    ]


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = parser_of(__doc__, RESULTS)
    parser.add_argument(
        "--rounds", type=int, default=15, help="rounds that are counted (default: 15; fewer when large)"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 3, 4], help="which of the sizes (default: all)")
    parser.add_argument("--memory-of", nargs=4, help="print the memory of a variant at a size, as JSON")
    return parser.parse_args(arguments)


def main() -> None:
    """Measure, append, print."""
    options = parsed()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.memory_of:
        label, *size = options.memory_of
        variant = next(variant for variant in VARIANTS if variant.label == label)
        print(json.dumps(memory(made(*map(int, size)), variant)))
        return
    for number in options.sizes:
        write_down(options.output, rows(SIZES[number - 1], options.rounds), line)


def line(row: dict[str, object]) -> str:
    """Return a row of the CSV in short."""
    size = f"{row['rows']} x {row['words']} x {row['width']}"
    name = f"{row['loss']}/{row['gradient']}"
    return (
        f"{size:<22}{name:<36}{row['median_seconds']} s  x {row['ratio_to_stock']}  {row['extra_memory_mib']} MiB more"
    )


if __name__ == "__main__":
    main()
