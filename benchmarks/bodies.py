"""Words a second and memory of a training step and of its layers, at three sizes, in every form of the layers.

    python benchmarks/bodies.py --rounds 10 --threads 1
    python benchmarks/bodies.py --sizes small --rounds 30 --device cuda

At each size all variants live in one process and take turns, in a new order every round, and so do the pieces of a
step and what measures the machine's rates. Peak memory is that of a process of its own for each variant. Rows are
appended to `benchmarks/results/bodies.csv`; where a step's time goes is printed beside the floors.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path

import torch

from body_floors import distinct_targets, floors, probes, rates
from body_parts import COMPARED, PIECES, RECIPES, Bench, Part
from body_rows import FOUND, Seconds, line, profile, row
from command_line import Row, parser_of, positive, printed_by, write_down
from machine import FACTS, begin_csv, facts, peak_memory_mib
from step_windows import Window, windows
from tiedlm.recipes.ptb import SIZES
from turns import Make, in_turns

WARM_UP = 3
"""Rounds that are not counted."""
MEMORY_ROUNDS = 3
"""Rounds after which memory has reached its peak."""
RESULTS = Path(__file__).parent / "results" / "bodies.csv"
COLUMNS = (*FACTS, "size", "units", "words", "rounds", "product_gflops", "copy_gbs", *FOUND)


def measure(bench: Bench, some: list[Window]) -> Seconds:
    """Return part → seconds in each round, the warm-up left out; the rates' probes and what is left over included."""

    def in_rounds(part: Part) -> Make:
        run = bench.run(part)
        return lambda number: partial(run, some[number])

    timed: dict[str, Make] = {part.name: in_rounds(part) for part in [*COMPARED, *PIECES]}
    timed |= {name: lambda number, probe=probe: probe for name, probe in probes(bench.device).items()}
    return with_rests(in_turns(timed, len(some), WARM_UP))


def with_rests(seconds: Seconds) -> Seconds:
    """Add what is known by subtraction, round by round: the layers' backward pass, and the rest of a step."""

    def less(whole: Part, *parts: Part) -> list[float]:
        taken = zip(*(seconds[part.name] for part in parts), strict=True)
        return [all_of - sum(some) for all_of, some in zip(seconds[whole.name], taken, strict=True)]

    found = {Part("backward").name: less(Part("layers"), Part("forward"))}
    for loss in RECIPES:
        pieces = (Part("layers"), Part("loss", "", loss), Part("update", ""))
        found[Part("rest", "picked", loss).name] = less(Part("step", "picked", loss), *pieces)
    return seconds | found


def memory(bench: Bench, part: Part, some: list[Window]) -> dict[str, float]:
    """Return the peak memory before and after a few rounds of one part, in MiB; on a GPU that of its memory."""
    run, before = bench.run(part), peak_mib(bench.device)
    for window in some:
        run(window)
    return {"before_mib": before, "peak_mib": peak_mib(bench.device)}


def peak_mib(device: str) -> float:
    """Return the most memory that was held at once."""
    return peak_memory_mib() if device == "cpu" else torch.cuda.max_memory_allocated() / 2**20


def memory_in_a_process(size: str, part: Part, options: argparse.Namespace) -> dict[str, float]:
    """Return `memory` of a process that does nothing else."""
    arguments = ["--memory-of", size, part.name, "--threads", str(torch.get_num_threads()), "--device", options.device]
    return printed_by(__file__, arguments + (["--data-dir", str(options.data_dir)] if options.data_dir else []))


def rows(size: str, options: argparse.Namespace) -> list[Row]:
    """Measure everything at one size and return a row of the CSV for each part."""
    words, some = on_device(WARM_UP + options.rounds, options)
    memories = {part.name: memory_in_a_process(size, part, options) for part in COMPARED}
    bench = Bench(size, options.device)
    seconds = measure(bench, some)
    rate = rates(seconds)
    config = bench.model("picked").config
    least = floors(config.units, config.layers, distinct_targets(some), rate)
    common: Row = {**facts(options.device), "size": size, "units": config.units, "words": words}
    common |= {"rounds": options.rounds, "product_gflops": f"{rate['product'] / 1e9:.1f}"}
    common |= {"copy_gbs": f"{rate['copy'] / 1e9:.1f}"}
    parts = [*COMPARED, *PIECES, Part("backward"), *(Part("rest", "picked", loss) for loss in RECIPES)]
    return [common | row(part, seconds, least.get(part), memories.get(part.name)) for part in parts]


def on_device(count: int, options: argparse.Namespace) -> tuple[str, list[Window]]:
    """Return what the words are, and windows of them on the device."""
    words, some = windows(count, options.data_dir)
    return words, [(inputs.to(options.device), targets.to(options.device)) for inputs, targets in some]


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = parser_of(__doc__, RESULTS)
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES), help="default: all three")
    parser.add_argument("--rounds", type=positive, default=10, help="rounds that are counted (default: 10)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where it is measured (default: cpu)")
    parser.add_argument("--data-dir", type=Path, help="folder with the Penn Treebank (else made-up words)")
    parser.add_argument("--memory-of", nargs=2, metavar=("SIZE", "PART"), help="print the memory of one, as JSON")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda was asked for, but PyTorch finds no GPU here: leave it out to measure the CPU.")
    return options


def memory_asked_for(options: argparse.Namespace) -> dict[str, float]:
    """Return the memory of the part at the size that the command line names."""
    size, name = options.memory_of
    part = next((part for part in COMPARED if part.name == name), None)
    if part is None or size not in SIZES:
        sys.exit(
            f"--memory-of {size} {name}: a size is one of {', '.join(SIZES)}, a part one of "
            f"{', '.join(part.name for part in COMPARED)}."
        )
    return memory(Bench(size, options.device), part, on_device(MEMORY_ROUNDS, options)[1])


def main() -> None:
    """Measure, append, print."""
    options = parsed()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.memory_of:
        print(json.dumps(memory_asked_for(options)))
        return
    begin_csv(options.output, COLUMNS)
    for size in options.sizes:
        measured = rows(size, options)
        write_down(options.output, measured, line)
        print("\n".join(profile(measured)), flush=True)


if __name__ == "__main__":
    main()
