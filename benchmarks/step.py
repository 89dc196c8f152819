"""Seconds and peak memory of one training step of `ptb-SIZE-*`, beside a plain PyTorch LSTM of the same size.

    python benchmarks/step.py --rounds 40 --threads 2           # appends to results/step.csv
    python benchmarks/step.py --sizes medium large
    python benchmarks/step.py --freed-memory --threads 1        # appends to results/kept_memory.csv

Variants take turns in one process; peak memory is that of a process of its own. `--freed-memory` measures
what `tiedlm train` gains on a CPU by keeping the memory that it frees.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import harness
from harness import FACTS, STREAMS, VOCAB_SIZE, WARM_UP, Row
from tiedlm import RunConfig
from tiedlm.native.device import keep_freed_memory
from tiedlm.nn.cells import has_lstm_kernel
from tiedlm.recipes import recipe

Step = Callable[[Tensor, Tensor], float]
SIZES = ("small", "medium", "large")
PLAIN = "plain-lstm"
GRADIENTS = {"vd": ("",), "re": ("",), "real": ("through", "detached")}
"""End of a recipe's name -> how the soft target is differentiated."""
COLUMNS = (*FACTS, "words", "batches", "model", "gradient", "precision", "median_seconds", "fastest_seconds")
COLUMNS += ("ratio_to_plain", "peak_memory_mib", "step_memory_mib")
MEMORY_COLUMNS = (*FACTS, "rounds", "recipe", "freed_memory", "median_seconds", "ratio_to_given_back", "pages_a_step")
MEMORY_COLUMNS += ("peak_memory_mib",)
MEMORY_STEPS, WARM_STEPS = 30, 10


def variants(size: str) -> dict[str, Callable[[], Step]]:
    """Return model/gradient/precision -> what makes its step; the first is what the others are compared with."""
    makers: dict[str, Callable[[], Step]] = {}
    for precision in ("float32", "bfloat16"):
        if precision == "float32" or has_lstm_kernel(torch.bfloat16):  # not every CPU runs nn.LSTM in bfloat16
            makers[f"{PLAIN}//{precision}"] = partial(plain_step, size, precision)
        for model, gradients in GRADIENTS.items():
            for gradient in gradients:
                config = config_of(f"ptb-{size}-{model}", precision, gradient)
                makers[f"{config.recipe}/{gradient}/{precision}"] = partial(harness.training_step, config)
    return makers


def config_of(name: str, precision: str, gradient: str = "") -> RunConfig:
    """Return a recipe in a precision, its soft target differentiated or detached."""
    config = recipe(name)
    loss = replace(config.loss, detach_target=gradient == "detached") if gradient else config.loss
    return replace(config, loss=loss, runtime=replace(config.runtime, precision=precision))


def plain_step(size: str, precision: str) -> Step:
    """Return a step of stock parts: tied two-layer `nn.LSTM`, cross-entropy, no dropout, the same clipping and SGD."""
    config = recipe(f"ptb-{size}-re")
    units, layers = config.model.units, config.model.layers
    table, lstm = nn.Embedding(VOCAB_SIZE, units), nn.LSTM(units, units, layers)
    parameters = [*table.parameters(), *lstm.parameters()]
    for parameter in parameters:
        nn.init.uniform_(parameter, -config.model.init_range, config.model.init_range)
    optimizer = torch.optim.SGD(parameters, lr=config.training.learning_rate)
    state = (torch.zeros(layers, STREAMS, units), torch.zeros(layers, STREAMS, units))

    def step(inputs: Tensor, targets: Tensor) -> float:
        nonlocal state
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            features, (hidden, cell) = lstm(table(inputs), state)
            loss = F.cross_entropy(F.linear(features.flatten(0, 1), table.weight), targets.flatten(), reduction="sum")
        optimizer.zero_grad()
        (loss / STREAMS).backward()
        nn.utils.clip_grad_norm_(parameters, config.training.clip_norm)
        optimizer.step()
        state = (hidden.detach().float(), cell.detach().float())
        return float(loss.detach())

    return step


def step_rows(size: str, options: argparse.Namespace) -> Iterator[Row]:
    """Time all variants at a size in turns, and yield a row of each."""
    words, batches = harness.windows(WARM_UP + options.rounds, options.data_dir)
    steps = {name: make() for name, make in variants(size).items()}
    timed = {name: lambda number, run=run: run(*batches[number]) for name, run in steps.items()}
    seconds = harness.time_in_turns(timed, options.rounds)
    data_option = ["--data-dir", options.data_dir] if options.data_dir else []
    for name, times in seconds.items():
        before, peak = harness.json_of_process(__file__, ["--memory-of", size, name, *data_option])
        model, *others = name.split("/")
        if model == PLAIN and size != "small":
            model = f"{PLAIN}-{size}"
        relative = harness.ratio(times, next(iter(seconds.values())))
        figures = (f"{median(times):.5f}", f"{min(times):.5f}", f"{relative:.3f}", f"{peak:.0f}")
        yield harness.row(COLUMNS, words, options.rounds, model, *others, *figures, f"{peak - before:.0f}")


def memory_of(size: str, name: str, folder: Path | None) -> tuple[float, float]:
    """Return the peak memory of this process before and after a few steps of a variant."""
    step, before = variants(size)[name](), harness.peak_memory_mib()
    for window in harness.windows(WARM_UP, folder)[1]:
        step(*window)
    return before, harness.peak_memory_mib()


def freed_memory_of(name: str, kind: str, vocab_size: int) -> dict[str, float]:
    """Return median seconds of this process's steps, pages fetched per step, and peak memory."""
    if kind == "kept":
        keep_freed_memory()
    _, batches = harness.windows(WARM_STEPS + MEMORY_STEPS, Path(os.devnull), vocab_size)
    step, seconds, pages = harness.training_step(config_of(name, "bfloat16"), vocab_size=vocab_size), [], 0
    for number, window in enumerate(batches):
        if number == WARM_STEPS:
            pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        start = time.perf_counter()
        step(*window)
        seconds.append(time.perf_counter() - start)
    pages = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - pages) / MEMORY_STEPS
    return {"seconds": median(seconds[WARM_STEPS:]), "pages": pages, "peak_mib": harness.peak_memory_mib()}


def freed_memory_rows(rounds: int) -> Iterator[Row]:
    """Measure recipes with freed memory given back and kept, a process each, in turns."""
    for name in ("ptb-small-vd", "ptb-small-real", "wikitext2-small-vd", "wikitext2-small-real"):
        vocab_size = VOCAB_SIZE if name.startswith("ptb") else 33_278
        measured: dict[str, list[dict[str, float]]] = {"given back": [], "kept": []}
        for _ in range(rounds):
            for kind, runs in measured.items():
                runs.append(harness.json_of_process(__file__, ["--freed-memory-of", name, kind, vocab_size]))
        base = [run["seconds"] for run in measured["given back"]]
        for kind, runs in measured.items():
            seconds, pages, peaks = ([run[key] for run in runs] for key in ("seconds", "pages", "peak_mib"))
            figures = (f"{median(seconds):.5f}", f"{harness.ratio(seconds, base):.3f}", f"{median(pages):.0f}")
            yield harness.row(MEMORY_COLUMNS, rounds, name, kind, *figures, f"{median(peaks):.0f}")


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, append."""
    parser = harness.parser_of(__doc__, "step.csv", rounds=40)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=["small"], help="networks (default: small)")
    parser.add_argument("--freed-memory", action="store_true", help="measure freed memory kept and given back instead")
    parser.add_argument("--data-dir", type=Path, help="folder with the Penn Treebank (default: the data folder)")
    parser.add_argument("--memory-of", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--freed-memory-of", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.memory_of:
        size, name = options.memory_of
        print(json.dumps(memory_of(size, name, options.data_dir)))
    elif options.freed_memory_of:
        name, kind, vocab_size = options.freed_memory_of
        print(json.dumps(freed_memory_of(name, kind, int(vocab_size))))
    elif options.freed_memory:
        output = options.output.with_name("kept_memory.csv")
        harness.open_csv(output, MEMORY_COLUMNS)
        harness.write_rows(output, freed_memory_rows(options.rounds))
    else:
        harness.open_csv(options.output, COLUMNS)
        for size in options.sizes:
            harness.write_rows(options.output, step_rows(size, options))


if __name__ == "__main__":
    main()
