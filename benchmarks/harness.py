"""What benchmarks share: machine, peak memory, timing in turns, CSV rows, options, training windows and steps."""

from __future__ import annotations

import argparse
import csv
import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from tiedlm import CorpusConfig, RunConfig, prepare
from tiedlm.data.sources import PTB
from tiedlm.data.streams import Streams
from tiedlm.files import data_dir
from tiedlm.nn.model import LanguageModel
from tiedlm.seeding import generator
from tiedlm.training.start import describe
from tiedlm.training.step import ForwardBackward, forward_backward
from tiedlm.training.step import training_step as take_step

RESULTS = Path(__file__).parent / "results"
ENVIRONMENT = ("commit", "device", "processor", "threads", "platform", "python", "torch", "numpy", "tiedlm")
FACTS = ("date", *ENVIRONMENT)
"""The columns of `facts`."""
WARM_UP = 3
"""Rounds that are not counted."""
VOCAB_SIZE, STREAMS, STEPS = 10_000, 20, 35
"""Of `ptb-small-*`."""
Name = TypeVar("Name", str, int)
Row = dict[str, object]
Window = tuple[Tensor, Tensor]
"""Inputs and targets [T, B]."""


def facts(device: str = "cpu") -> dict[str, Any]:
    """Return date, commit, device, processor, threads and versions."""
    environment = describe(device)
    return {"date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"), **{name: environment[name] for name in ENVIRONMENT}}


def peak_memory_mib(device: str = "cpu") -> float:
    """Return the peak of this process's resident memory, or of its memory on a GPU, in MiB."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 2**20
    status = Path("/proc/self/status")
    if status.is_file():  # on Linux ru_maxrss includes what the parent had when it started this process
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    unit = 2**20 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def time_in_turns(variants: Mapping[Name, Callable[[int], object]], rounds: int) -> dict[Name, list[float]]:
    """Return variant -> seconds of each round, in a new order every round; `WARM_UP` more rounds come first.

    All variants live in one process, so that a machine that is slow for a while is slow for all of them. Each is called
    with the number of the round.
    """
    seconds: dict[Name, list[float]] = {name: [] for name in variants}
    order = random.Random(0)
    for number in range(WARM_UP + rounds):
        for name in order.sample(list(variants), len(variants)):
            start = time.perf_counter()
            variants[name](number)
            if number >= WARM_UP:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: Sequence[float], base: Sequence[float]) -> float:
    """Return the median over rounds of a time divided by the base's time in the same round."""
    return median(a / b for a, b in zip(seconds, base, strict=True))


def positive(text: str) -> int:
    """Return a whole number of 1 or more from the command line."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, got {text!r}")
    return int(text)


def parser_of(doc: str | None, csv_name: str, rounds: int) -> argparse.ArgumentParser:
    """Return a parser with `--rounds`, `--threads` and `--output`, described by the first line of `doc`."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--rounds", type=positive, default=rounds, help=f"timed rounds (default: {rounds})")
    parser.add_argument("--threads", type=positive, help="PyTorch threads (default: PyTorch's choice)")
    parser.add_argument("--output", type=Path, default=RESULTS / csv_name, help="CSV to append to")
    return parser


def json_of_process(script: str, arguments: Iterable[object]) -> Any:
    """Return the JSON that a script prints in a process of its own, with as many threads; end where it fails."""
    command = [sys.executable, script, "--threads", str(torch.get_num_threads()), *map(str, arguments)]
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode != 0:
        last_lines = "\n".join(process.stderr.splitlines()[-10:])
        sys.exit(f"{' '.join(command)} ended with status {process.returncode}:\n{last_lines}")
    return json.loads(process.stdout)


def open_csv(path: Path, columns: Sequence[str]) -> None:
    """Create a CSV with these columns; end where it cannot be written or has other columns."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+", newline="") as file:
            if file.tell() == 0:
                csv.writer(file, lineterminator="\n").writerow(columns)
            file.seek(0)
            present = next(csv.reader(file))
    except OSError as error:
        sys.exit(f"{path} cannot be written: {error.strerror}. Name another CSV with --output.")
    if present != list(columns):
        sys.exit(f"{path} has columns {present}, expected {list(columns)}. Move it away, or use --output.")


def row(columns: Sequence[str], *values: object, device: str = "cpu") -> Row:
    """Return a row: the facts, then the values of the other columns; a float gets four digits after the point."""
    texts = [f"{value:.4f}" if isinstance(value, float) else value for value in values]
    return {**facts(device), **dict(zip(columns[len(FACTS) :], texts, strict=True))}


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Print each row as it is measured, and append it to the CSV."""
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items() if name not in FACTS and value), flush=True)
        open_csv(path, list(row))
        with path.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(row.values())


def zipf_ids(count: int, seed: int = 0, vocab_size: int = VOCAB_SIZE) -> np.ndarray:
    """Return independent word ids; the word of rank r has a probability proportional to 1 / (r + 2.7)."""
    weights = 1 / (np.arange(1, vocab_size + 1) + 2.7)
    return np.random.default_rng(seed).choice(vocab_size, size=count, p=weights / weights.sum())


def windows(count: int, folder: Path | None, vocab_size: int = VOCAB_SIZE) -> tuple[str, list[Window]]:
    """Return where the words come from, `ptb` or `zipf`, and `count` training windows.

    They are the Penn Treebank's where its files are in the data folder (nothing is downloaded) and drawn otherwise.
    """
    folder = folder or data_dir()
    has_ptb = all(any((folder / name).is_file() for name in file.names) for file in PTB.files.values())
    if has_ptb and vocab_size == VOCAB_SIZE:
        ids, words = prepare(CorpusConfig(name="ptb"), data_dir=folder).splits["train"].ids, "ptb"
    else:
        ids, words = zipf_ids(count * STREAMS * STEPS, vocab_size=vocab_size), "zipf"
    return words, list(islice(Streams(ids, STREAMS, end_id=0).windows(STEPS), count))


def training_step(
    config: RunConfig,
    model: LanguageModel | None = None,
    passes: ForwardBackward = forward_backward,
    vocab_size: int = VOCAB_SIZE,
) -> Callable[[Tensor, Tensor], float]:
    """Return the step of `tiedlm train`: (inputs, targets) -> summed loss, with masks drawn and state carried."""
    model = model or LanguageModel(config.model, vocab_size)
    state, number = model.initial_state(STREAMS), 0

    def step(inputs: Tensor, targets: Tensor) -> float:
        nonlocal state, number
        masks = model.draw_masks(STREAMS, generator(config.seed, "masks", number))
        rate = config.training.learning_rate
        result = take_step(model, rate, inputs, targets, state, masks, config, passes=passes)
        state, number = result.state, number + 1
        return result.loss_sum

    return step
