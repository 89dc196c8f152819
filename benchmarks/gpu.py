"""On a machine with one GPU: whether the masked LSTM on cuDNN's kernel is exact, and how long training steps take.

    python benchmarks/gpu.py

Checks `lstm_stock` against `lstm_loop` in float64 (values and gradients, in float64, float32 and TensorFloat-32), then
times steps of the small, medium and large network with passes replayed from a CUDA graph and launched kernel by kernel.
Each part runs in a process of its own with a time limit; all takes less than ten minutes. Results are printed and
written to `results/gpu.json`. The exit status is 1 where a check fails, 2 without a GPU.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness import RESULTS, VOCAB_SIZE, Window, facts, peak_memory_mib, positive, training_step, windows
from tiedlm.files import write_json
from tiedlm.nn.dropout import draw_mask
from tiedlm.nn.lstm import LSTMWeights, lstm_loop, lstm_stock
from tiedlm.nn.model import LanguageModel
from tiedlm.recipes import recipe
from tiedlm.training.step import GraphedForwardBackward, forward_backward

ALL_SECONDS, PART_SECONDS = 570, 150
"""Time limits; a part that has not begun by the first is left out."""
SIZES, UNITS = ("small", "medium", "large"), (200, 650, 1500)
EPOCH_WINDOWS = 1328
"""Windows of 20 x 35 words in the Penn Treebank's training text."""
WARM_UP = 10
"""Steps that are not timed: kernels are picked and compiled in them."""
MAX_ERROR = {"float64": 1e-10, "float32": 1e-4, "tf32": float("inf")}
"""Largest error relative to a tensor's largest entry; TensorFloat-32 is reported and has no bound."""
NAMES = ("outputs", "raw h", "c", "d inputs", "d h", "d c", "d W_ih", "d W_hh", "d b")
Result = dict[str, Any]


def check_masks(device: str, units: Sequence[int] = UNITS, steps: int = 35, streams: int = 20) -> list[Result]:
    """Return, for each type, width and keep probability, the largest error of `lstm_stock` and where it is."""
    results = []
    for width, keep in product(units, (0.7, 0.35, 1.0)):
        case = draw_case(width, keep, steps, streams, device)
        truth = values_and_gradients(lstm_loop, case)
        for kind, max_error in MAX_ERROR.items():
            dtype = torch.float64 if kind == "float64" else torch.float32
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = kind == "tf32"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # cuDNN's, on weights that are not one array
                actual = values_and_gradients(lstm_stock, [tensor.to(dtype) for tensor in case])
            errors = {name: float((actual[name].double() - truth[name]).abs().max()) for name in NAMES}
            errors = {name: error / float(truth[name].abs().max()) for name, error in errors.items()}
            worst = max(NAMES, key=lambda name: math.inf if math.isnan(errors[name]) else errors[name])
            result = {"form": "stock", "type": kind, "units": width, "keep": keep, "worst": worst}
            results.append({**result, "error": errors[worst], "holds": errors[worst] <= max_error})
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = True, False  # PyTorch's defaults
    return results


def draw_case(units: int, keep: float, steps: int, streams: int, device: str) -> list[Tensor]:
    """Return inputs, h, c, three parameters, the output gradient and the mask, in float64."""
    draws = torch.Generator().manual_seed(0)
    window, state, weight = (steps, streams, units), (streams, units), (4 * units, units)
    shapes = [(window, 1.0), (state, 0.5), (state, 0.5), (weight, units**-0.5), (weight, units**-0.5)]
    shapes += [((4 * units,), 0.1), (window, 1.0)]
    tensors = [scale * torch.randn(shape, generator=draws, dtype=torch.float64) for shape, scale in shapes]
    mask = draw_mask(streams, units, keep, draws, dtype=torch.float64)
    return [tensor.to(device) for tensor in [*tensors, mask]]


def values_and_gradients(layer: Any, case: list[Tensor]) -> dict[str, Tensor]:
    """Return outputs, raw state, and the gradients of a weighted sum of them."""
    *leaves, out_grad, mask = [tensor.detach() for tensor in case]
    inputs, hidden, cell, *weights = (leaf.requires_grad_() for leaf in leaves)
    outputs, (last, last_cell) = layer(inputs, (hidden, cell), LSTMWeights(*weights), mask)
    total = (outputs * out_grad).sum() + (last * out_grad[0]).sum() + (last_cell * out_grad[-1]).sum()
    tensors = [outputs, last, last_cell, *torch.autograd.grad(total, leaves)]
    return {name: tensor.detach() for name, tensor in zip(NAMES, tensors, strict=True)}


def time_steps(kind: str, size: str, precision: Any, batches: list[Window], device: str) -> Result:
    """Return loss -> milliseconds of a step, seconds of an epoch, peak memory; an error where it is not replayed."""
    results = {}
    for loss, model in (("al", "real"), ("ce", "re")):
        config = recipe(f"ptb-{size}-{model}")
        config = replace(config, runtime=replace(config.runtime, precision=precision))
        gradients = GraphedForwardBackward() if kind == "replayed" else forward_backward
        step = training_step(config, LanguageModel(config.model, VOCAB_SIZE).to(device), gradients)
        wait: Callable[[], None] = torch.cuda.synchronize if device == "cuda" else lambda: None
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a graph that cannot be used is a warning
            for window in batches[:WARM_UP]:
                step(*window)
            wait()
            start = time.perf_counter()
            for window in batches[WARM_UP:]:
                step(*window)
            wait()
        seconds = (time.perf_counter() - start) / (len(batches) - WARM_UP)
        results[loss] = {"step_ms": 1000 * seconds, "epoch_seconds": EPOCH_WINDOWS * seconds}
        results[loss]["peak_memory_mib"] = peak_memory_mib(device)
    return results


def run_part(part: Sequence[str], options: argparse.Namespace, device: str = "cuda") -> Result:
    """Run one part in this process."""
    if part[0] == "masks":
        return {"checks": check_masks(device)}
    _, batches = windows(WARM_UP + options.steps, options.data_dir)
    batches = [(inputs.to(device), targets.to(device)) for inputs, targets in batches]
    kind, size, precision = part
    return time_steps(kind, size, precision, batches, device)


def run_part_in_process(part: Sequence[str], options: argparse.Namespace, seconds: float) -> Result:
    """Return what a part finds in a process of its own, or why it finds nothing."""
    command = [sys.executable, __file__, "--only", *part, "--steps", str(options.steps)]
    command += ["--data-dir", str(options.data_dir)] if options.data_dir else []
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {"failed": f"it took more than {seconds:.0f} seconds"}
    if process.returncode == 0:
        return json.loads(process.stdout.splitlines()[-1])
    return {"failed": (process.stderr.strip().splitlines() or [f"exit status {process.returncode}"])[-1]}


def main(arguments: list[str] | None = None) -> int:
    """Run all parts, write and print what they find, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES), help="default: all three")
    parser.add_argument("--steps", type=positive, default=100, help="timed steps (default: 100)")
    parser.add_argument("--data-dir", type=Path, help="folder with the Penn Treebank (default: the data folder)")
    parser.add_argument("--output", type=Path, default=RESULTS / "gpu.json", help="JSON file to write")
    parser.add_argument("--only", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        parser.error("PyTorch finds no GPU here. For a CPU, run benchmarks/step.py and benchmarks/layers.py.")
    if options.only:
        print(json.dumps(run_part(options.only, options)))
        return 0
    results, start = [], time.monotonic()
    for part in [("masks",), *product(("replayed", "launched"), options.sizes, ("bfloat16", "float32"))]:
        seconds = min(PART_SECONDS, ALL_SECONDS - (time.monotonic() - start))
        result = {"failed": "no time left"} if seconds < 10 else run_part_in_process(part, options, seconds)
        results.append({"part": " ".join(part), **result})
        print(f"{' '.join(part)}:", *result.get("checks", [result]), sep="\n  ", flush=True)
    versions = {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    write_json(options.output, {**facts("cuda"), **versions, "steps": options.steps, "parts": results})
    return 0 if all(check["holds"] for check in results[0].get("checks", [{"holds": False}])) else 1


if __name__ == "__main__":
    sys.exit(main())
