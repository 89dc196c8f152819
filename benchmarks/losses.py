"""Seconds and peak memory of the loss, forward and backward, beside stock cross-entropy at the same size.

    python benchmarks/losses.py --rounds 15 --threads 2
    python benchmarks/losses.py --rounds 15 --device cuda --dtype bfloat16 --sizes 4 5

All variants live in one process and take turns, in a new order every round, so that a machine that is slow for a while
is slow for all of them; what is quoted is the median over rounds of the ratio within a round. Memory is what one pass
adds to a process of its own beyond inputs and gradients. Rows are appended to `benchmarks/results/losses.csv`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from statistics import median

import torch

from command_line import Row, parser_of, positive, printed_by, write_down
from loss_memory import extra_memory_mib
from loss_variants import VARIANTS, Case, Variant, made
from machine import FACTS, begin_csv, facts
from turns import Make, in_turns, ratios

Size = tuple[int, int, int]
SIZES: tuple[Size, ...] = (
    (700, 10_000, 200),
    (700, 10_000, 650),
    (700, 33_278, 200),
    (4096, 128_000, 512),
    (8192, 128_256, 4096),
)
"""Rows, words, width; the last one is for a GPU."""
LARGE = {"cpu": 10**8, "cuda": 10**9}
"""Logits from which a variant that holds several arrays of them is left out, and rounds on a CPU are fewer."""
WARM_UP = 2
RESULTS = Path(__file__).parent / "results" / "losses.csv"
COLUMNS = (*FACTS, "rows", "words", "width", "dtype", "distinct_targets", "loss", "gradient", "rounds")
COLUMNS += ("median_seconds", "ratio_to_stock", "extra_memory_mib")


def variants_at(size: Size, device: str, only: Collection[str] = ()) -> list[Variant]:
    """Return the variants that fit the size and the device: the first, and of the others those named, or all."""
    large = size[0] * size[1] >= LARGE[device]
    fit = [variant for variant in VARIANTS if variant.runs_on(device) and (variant.large or not large)]
    return [variant for variant in fit if not only or variant is fit[0] or variant.name in only]


def measure(case: Case, variants: list[Variant], rounds: int) -> dict[str, list[float]]:
    """Return variant → seconds in each round, those of the warm-up left out."""

    def in_rounds(variant: Variant) -> Make:
        return lambda number: variant.step(case)

    return in_turns({variant.label: in_rounds(variant) for variant in variants}, WARM_UP + rounds, WARM_UP)


def memory_in_a_process(size: Size, variant: Variant, options: argparse.Namespace) -> float:
    """Return the extra memory of a variant in a process that does nothing else."""
    wanted = [variant.label, *map(str, size)]
    wanted += ["--device", options.device, "--dtype", options.dtype]
    return printed_by(__file__, ["--threads", str(torch.get_num_threads()), "--memory-of", *wanted])


def rows(size: Size, options: argparse.Namespace) -> Iterator[Row]:
    """Time all variants at one size, and yield a row of the CSV for each as its memory is measured."""
    case = made(*size, options.device, getattr(torch, options.dtype))
    variants = variants_at(size, options.device, options.only or ())
    few = options.device == "cpu" and size[0] * size[1] >= LARGE["cpu"]
    seconds = measure(case, variants, min(options.rounds, max(3, options.rounds // 5)) if few else options.rounds)
    relative = ratios(seconds, variants[0].label)
    for variant in variants:
        yield {
            **facts(options.device),
            "rows": case.rows,
            "words": case.words,
            "width": case.width,
            "dtype": options.dtype,
            "distinct_targets": len(case.targets.unique()),
            "loss": variant.name,
            "gradient": variant.gradient,
            "rounds": len(seconds[variant.label]),
            "median_seconds": f"{median(seconds[variant.label]):.5f}",
            "ratio_to_stock": f"{relative[variant.label]:.3f}",
            "extra_memory_mib": f"{memory_in_a_process(size, variant, options):.0f}",
        }


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = parser_of(__doc__, RESULTS)
    parser.add_argument(
        "--rounds", type=positive, default=15, help="rounds that are counted (default: 15; fewer when large)"
    )
    parser.add_argument("--device", choices=list(LARGE), default="cpu", help="where it is measured (default: cpu)")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32", help="type of the tables")
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        choices=range(1, len(SIZES) + 1),
        default=[1, 2, 3, 4],
        help="which of the sizes, counted from 1 (default: 1 to 4)",
    )
    names = sorted({variant.name for variant in VARIANTS})
    parser.add_argument("--only", nargs="+", choices=names, help="losses beside the stock one (default: all)")
    parser.add_argument("--memory-of", nargs=4, help="print the memory of a variant at a size, as JSON")
    return parser.parse_args(arguments)


def main() -> None:
    """Measure, append, print."""
    options = parsed()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.memory_of:
        print(json.dumps(memory_asked_for(options)))
        return
    begin_csv(options.output, COLUMNS)
    for number in options.sizes:
        write_down(options.output, rows(SIZES[number - 1], options), line)


def memory_asked_for(options: argparse.Namespace) -> float:
    """Return the extra memory of the variant at the size that the command line names."""
    label, rows, words, width = options.memory_of
    variant = next(variant for variant in VARIANTS if variant.label == label)
    case = made(int(rows), int(words), int(width), options.device, getattr(torch, options.dtype))
    return extra_memory_mib(case, variant)


def line(row: Row) -> str:
    """Return a row of the CSV in short."""
    size = f"{row['rows']} x {row['words']} x {row['width']}"
    name = f"{row['loss']}/{row['gradient']}"
    return (
        f"{size:<22}{name:<36}{row['median_seconds']} s  x {row['ratio_to_stock']}  {row['extra_memory_mib']} MiB more"
    )


if __name__ == "__main__":
    main()
