"""Seconds of a training step, and pages fetched in it, with freed memory given back to the system and kept.

    python benchmarks/kept_memory.py --rounds 3 --threads 1

`tiedlm train` keeps it on a CPU (`tiedlm.native.memory`). That cannot be undone in a process, so every measurement is a
process of its own, and the two kinds take turns. Words are made up. Rows are appended to
`benchmarks/results/kept_memory.csv`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import torch

import step_variants
import step_windows
from command_line import Row, parser_of, positive, printed_by, write_down
from machine import FACTS, begin_csv, facts, peak_memory_mib
from tiedlm.native.memory import keep_freed_memory

STEPS, WARM_UP = 30, 10
RECIPES = {
    "ptb-small-vd": 10_000,
    "ptb-small-real": 10_000,
    "wikitext2-small-vd": 33_278,
    "wikitext2-small-real": 33_278,
}
"""Recipe → words of its vocabulary."""
KINDS = ("given back", "kept")
RESULTS = Path(__file__).parent / "results" / "kept_memory.csv"
COLUMNS = (*FACTS, "rounds", "recipe", "freed_memory", "median_seconds")
COLUMNS += ("ratio_to_given_back", "pages_a_step", "peak_memory_mib")


def steps(recipe: str, kind: str) -> dict[str, float]:
    """Return what a step of this process takes: median seconds, pages fetched, and the most memory."""
    if kind == "kept":
        keep_freed_memory()
    step_windows.WORDS = step_variants.WORDS = RECIPES[recipe]
    _, some = step_windows.windows(WARM_UP + STEPS, Path(os.devnull))
    step = step_variants.Variant(recipe, precision="bfloat16").make()
    for window in some[:WARM_UP]:
        step(*window)
    before, seconds = _pages_fetched(), []
    for window in some[WARM_UP:]:
        began = time.perf_counter()
        step(*window)
        seconds.append(time.perf_counter() - began)
    pages = (_pages_fetched() - before) / STEPS
    return {"seconds": median(seconds), "pages": pages, "peak_mib": peak_memory_mib()}


def _pages_fetched() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def rows(options: argparse.Namespace, recipes: Sequence[str]) -> Iterator[Row]:
    """Measure all recipes, the kinds in turns, and yield a row of the CSV for each as it is measured."""
    arguments = ["--threads", str(torch.get_num_threads())]
    for recipe in recipes:
        rounds = [
            {kind: printed_by(__file__, ["--of", recipe, kind, *arguments]) for kind in KINDS}
            for _ in range(options.rounds)
        ]
        yield from (_row(recipe, kind, rounds) for kind in KINDS)


def _row(recipe: str, kind: str, rounds: list[dict[str, dict[str, float]]]) -> Row:
    own = [one[kind] for one in rounds]
    ratio = median(one[kind]["seconds"] / one[KINDS[0]]["seconds"] for one in rounds)
    return {
        **facts(),
        "rounds": len(rounds),
        "recipe": recipe,
        "freed_memory": kind,
        "median_seconds": f"{median(one['seconds'] for one in own):.5f}",
        "ratio_to_given_back": f"{ratio:.3f}",
        "pages_a_step": f"{median(one['pages'] for one in own):.0f}",
        "peak_memory_mib": f"{median(one['peak_mib'] for one in own):.0f}",
    }


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = parser_of(__doc__, RESULTS)
    parser.add_argument("--rounds", type=positive, default=3, help="processes of each kind (default: 3)")
    parser.add_argument("--of", nargs=2, metavar=("RECIPE", "KIND"), help="measure in this process and print JSON")
    return parser.parse_args(arguments)


def line(row: Row) -> str:
    """Return a row of the CSV in short."""
    return (
        f"{row['recipe']:<22}{row['freed_memory']:<12}{row['median_seconds']} s  x {row['ratio_to_given_back']}  "
        f"{row['pages_a_step']} pages a step, peak {row['peak_memory_mib']} MiB"
    )


def main() -> None:
    """Measure, append, print."""
    options = parsed()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.of:
        print(json.dumps(steps(*options.of)))
        return
    begin_csv(options.output, COLUMNS)
    write_down(options.output, rows(options, list(RECIPES)), line)


if __name__ == "__main__":
    main()
