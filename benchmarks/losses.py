"""Seconds and peak memory of the loss, forward and backward, beside stock cross-entropy at the same size.

    python benchmarks/losses.py --rounds 15 --threads 2
    python benchmarks/losses.py --rounds 15 --device cuda --dtype bfloat16 --sizes 4 5
    python benchmarks/losses.py --table          # the latest rows as Markdown

Variants take turns in one process; ratios are medians over rounds. Memory is what one pass adds to a process of its own
beyond inputs and gradients. Rows are appended to `results/losses.csv`.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import importlib
import importlib.util
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

import harness
from harness import FACTS, Row
from tiedlm import linear_augmented_cross_entropy
from tiedlm.native.build import compiler_unavailable

Implementation = Literal["functional", "chunked", "compiled", "triton"]
Size = tuple[int, int, int]
SIZES: tuple[Size, ...] = (
    (700, 10_000, 200),
    (700, 10_000, 650),
    (700, 33_278, 200),
    (4096, 128_000, 512),
    (8192, 128_256, 4096),
)
"""Rows, vocabulary, width; the last one is for a GPU."""
LARGE = {"cpu": 10**8, "cuda": 10**9}
"""Logits from which a variant that holds several arrays of them is left out, and a CPU times fewer rounds."""
TEMPERATURE, GAMMA = 20.0, 0.65
STOCK = "cross_entropy"
COLUMNS = (*FACTS, "rows", "words", "width", "dtype", "distinct_targets", "loss", "gradient", "rounds")
COLUMNS += ("median_seconds", "ratio_to_stock", "extra_memory_mib")
RUN = ("commit", "device", "processor", "threads", "torch", "dtype", "rounds")
"""Columns that all rows of one run at one size share."""
GRADIENTS = {
    "plain": "cross-entropy (γ = 0)",
    "detached": "augmented, target detached",
    "through": "augmented, through the target",
}
NAMES = {
    STOCK: "F.cross_entropy",
    "torch_linear": "F.linear_cross_entropy",
    "torch_linear_chunked": "the same, in chunks",
    "liger": "Liger, fused",
    "cut": "Apple's cut cross-entropy",
    "cut_exact": "the same, no gradient left out",
    "naive": "augmented as it reads",
}


class Case(NamedTuple):
    """One problem: features [N, D], classifier [V, D], targets [N] as uneven as a text's."""

    features: Tensor
    classifier: Tensor
    targets: Tensor


def make_case(size: Size, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Case:
    """Return a tied problem; of 700 targets 360 to 390 are distinct."""
    rows, vocab_size, width = size
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(rows, width, generator=draw).to(device, dtype).requires_grad_()
    classifier = torch.randn(vocab_size, width, generator=draw).div_(width**0.5).to(device, dtype).requires_grad_()
    frequencies = (torch.arange(vocab_size) + 2.7) ** -1.1
    return Case(features, classifier, torch.multinomial(frequencies, rows, True, generator=draw).to(device))


def stock(case: Case) -> Tensor:
    """Return plain cross-entropy."""
    return F.cross_entropy(F.linear(case.features, case.classifier), case.targets)


def naive(case: Case, *, detach: bool) -> Tensor:
    """Return the augmented loss as its equations read, with a soft target for every row."""
    logits = F.linear(case.features, case.classifier)
    with torch.set_grad_enabled(not detach):
        target = F.softmax(F.linear(case.classifier[case.targets], case.classifier) / TEMPERATURE, 1)
    divergence = F.kl_div(F.log_softmax(logits / TEMPERATURE, 1), target, reduction="batchmean")
    return F.cross_entropy(logits, case.targets) + GAMMA * TEMPERATURE * divergence


def torch_linear(case: Case, *, chunked: bool) -> Tensor:
    """Return PyTorch's cross-entropy from features, with all logits or as many at a time as it picks."""
    options = torch.nn.LinearCrossEntropyOptions() if chunked else None
    return F.linear_cross_entropy(case.features, case.classifier, case.targets, options=options)


def liger(case: Case) -> Tensor:
    """Return the fused cross-entropy of Liger kernels (GPU)."""
    module = importlib.import_module("liger_kernel.transformers.functional")
    return module.liger_fused_linear_cross_entropy(case.features, case.classifier, case.targets)


def cut(case: Case, *, form: str) -> Tensor:
    """Return Apple's cut cross-entropy (GPU): `cce` leaves out small gradients, `cce_exact` none."""
    module = importlib.import_module("cut_cross_entropy")
    return module.linear_cross_entropy(case.features, case.classifier, case.targets, impl=form)


def ours(case: Case, *, implementation: Implementation, gamma: float, detach: bool) -> Tensor:
    """Return the library's loss."""
    return linear_augmented_cross_entropy(
        case.features,
        case.classifier,
        case.targets,
        temperature=TEMPERATURE,
        gamma=gamma,
        detach_target=detach,
        implementation=implementation,
    )


def variants(device: str, *, large: bool = False) -> dict[str, Callable[[Case], Tensor]]:
    """Return loss/gradient -> loss, of those that run on this machine; the first is what the others are compared with.

    Liger's and Apple's packages are no dependencies: they are measured where they are installed.
    """
    losses: dict[str, Callable[[Case], Tensor]] = {f"{STOCK}/plain": stock}
    losses["torch_linear/plain"] = partial(torch_linear, chunked=False)
    losses["torch_linear_chunked/plain"] = partial(torch_linear, chunked=True)
    if device == "cuda" and importlib.util.find_spec("liger_kernel"):
        losses["liger/plain"] = liger
    if device == "cuda" and importlib.util.find_spec("cut_cross_entropy"):
        losses |= {"cut/plain": partial(cut, form="cce"), "cut_exact/plain": partial(cut, form="cce_exact")}
    if not large:
        losses |= {"naive/detached": partial(naive, detach=True), "naive/through": partial(naive, detach=False)}
    implementations: list[Implementation] = ["chunked"] if large else ["functional", "chunked"]
    if device == "cpu" and compiler_unavailable() is None:
        implementations.append("compiled")
    if device == "cuda" and importlib.util.find_spec("triton"):
        implementations.append("triton")
    for name in implementations:
        for gradient in GRADIENTS:
            gamma = 0.0 if gradient == "plain" else GAMMA
            loss = partial(ours, implementation=name, gamma=gamma, detach=gradient == "detached")
            losses[f"{name}/{gradient}"] = loss
    return losses


def run_pass(loss: Callable[[Case], Tensor], case: Case) -> None:
    """Run forward and backward, with new gradients; wait for a GPU to finish."""
    case.features.grad = case.classifier.grad = None
    loss(case).backward()
    if case.features.is_cuda:
        torch.cuda.synchronize()


def extra_memory_mib(loss: Callable[[Case], Tensor], case: Case) -> float:
    """Return what one pass adds to the peak memory, in MiB, beyond inputs and gradients."""
    device = case.features.device.type
    small = make_case((8, len(case.classifier), 4), device, case.features.dtype)
    run_pass(loss, small)  # loads and compiles what the first call needs
    case.features.grad, case.classifier.grad = torch.ones_like(case.features), torch.ones_like(case.classifier)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    elif (peak := Path("/proc/self/clear_refs")).exists():
        ctypes.CDLL(None).malloc_trim(0)  # free memory held by the allocator would hide as much of the growth
        peak.write_text("5")  # resets the peak
    before = harness.peak_memory_mib(device)
    run_pass(loss, case)
    return harness.peak_memory_mib(device) - before


def rows(size: Size, options: argparse.Namespace) -> Iterator[Row]:
    """Time all variants at a size in turns, and yield a row of each as its memory is measured."""
    large = size[0] * size[1] >= LARGE[options.device]
    case = make_case(size, options.device, getattr(torch, options.dtype))
    losses = variants(options.device, large=large)
    if options.only:
        losses = {name: loss for name, loss in losses.items() if name.split("/")[0] in (STOCK, *options.only)}
    rounds = max(3, options.rounds // 5) if large and options.device == "cpu" else options.rounds
    timed = {name: lambda _, loss=loss: run_pass(loss, case) for name, loss in losses.items()}
    seconds = harness.time_in_turns(timed, rounds)
    where = ["--device", options.device, "--dtype", options.dtype]
    for name, times in seconds.items():
        memory = harness.json_of_process(__file__, ["--memory-of", name, *size, *where])
        relative = harness.ratio(times, seconds[f"{STOCK}/plain"])
        values = (*size, options.dtype, len(case.targets.unique()), *name.split("/"), len(times))
        figures = (f"{median(times):.5f}", f"{relative:.3f}", f"{memory:.0f}")
        yield harness.row(COLUMNS, *values, *figures, device=options.device)


def latest(path: Path, device: str, dtype: str) -> dict[Size, list[dict[str, str]]]:
    """Return size -> rows of its latest run on a CPU, or on a GPU."""
    by_size: dict[Size, list[dict[str, str]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["dtype"] == dtype and (row["device"] == "cpu") == (device == "cpu"):
                by_size.setdefault((int(row["rows"]), int(row["words"]), int(row["width"])), []).append(row)
    for size, own in by_size.items():
        last_run = [row for row in own if all(row[name] == own[-1][name] for name in RUN)]
        by_size[size] = list({(row["loss"], row["gradient"]): row for row in last_run}.values())
    return dict(sorted(by_size.items(), key=lambda item: (item[0][0] * item[0][1], item[0])))


def markdown(size: Size, rows: list[dict[str, str]]) -> str:
    """Return the table of one size: ratios to stock cross-entropy, and extra memory."""
    head = "{:,} rows, {:,} words, width {:,}".format(*size) + f" ({rows[0]['distinct_targets']} distinct targets)"
    lines = [f"| {head} | {' | '.join(GRADIENTS.values())} | MiB more, in this order |", "|---|---:|---:|---:|---|"]
    for loss in dict.fromkeys(row["loss"] for row in rows):
        own = {row["gradient"]: row for row in rows if row["loss"] == loss}
        ratios = [f"{float(own[gradient]['ratio_to_stock']):.2f}" if gradient in own else "" for gradient in GRADIENTS]
        if loss == STOCK:
            ratios[0] = f"1 ({1000 * float(own['plain']['median_seconds']):.0f} ms)"
        memory = ", ".join(own[gradient]["extra_memory_mib"] for gradient in GRADIENTS if gradient in own)
        lines.append(f"| {NAMES.get(loss, f'tiedlm, {loss}')} | {' | '.join(ratios)} | {memory} |")
    last = rows[-1]
    where = last["processor"] if last["device"] == "cpu" else last["device"]
    versions = f"torch {last['torch']}, commit {last['commit'][:7]}, {last['date'][:10]}"
    rounds = f"medians of {last['rounds']} rounds."
    return "\n".join([*lines, "", f"{where}, threads: {last['threads']}, {last['dtype']}, {versions}, {rounds}"])


def main(arguments: list[str] | None = None) -> None:
    """Measure, print, append; or show the latest rows."""
    parser = harness.parser_of(__doc__, "losses.csv", rounds=15)
    parser.add_argument("--device", choices=list(LARGE), default="cpu", help="default: cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32", help="of features and tables")
    numbers = range(1, len(SIZES) + 1)
    parser.add_argument("--sizes", type=int, nargs="+", choices=numbers, default=[1, 2, 3, 4], help="default: 1 to 4")
    parser.add_argument("--only", nargs="+", help="losses beside the stock one (default: all)")
    parser.add_argument("--table", action="store_true", help="print the latest rows as Markdown")
    parser.add_argument("--memory-of", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.memory_of:
        name, *size = options.memory_of
        rows_, vocab_size, width = map(int, size)
        case = make_case((rows_, vocab_size, width), options.device, getattr(torch, options.dtype))
        print(json.dumps(extra_memory_mib(variants(options.device)[name], case)))
    elif options.table:
        by_size = latest(options.output, options.device, options.dtype)
        print("\n\n".join(markdown(size, rows) for size, rows in by_size.items()))
    else:
        harness.open_csv(options.output, COLUMNS)
        for number in options.sizes:
            harness.write_rows(options.output, rows(SIZES[number - 1], options))


if __name__ == "__main__":
    main()
