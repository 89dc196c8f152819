"""Microseconds of one LSTM layer on a GPU, on the stock kernel and on ours, replayed from a CUDA graph.

A window of training is 35 words of 20 streams under a mask, forward and back; one of scoring 256 words of one stream,
forward alone and without TensorFloat-32. The forms are timed in turns, so that both see the same clock.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import product
from typing import Any

import torch
from torch import Tensor

from tiedlm.devices import exact_products
from tiedlm.layers.lstm import LSTMWeights
from tiedlm.layers.lstm_stock import lstm_stock
from tiedlm.layers.lstm_triton import lstm_triton
from tiedlm.replay import Captured, Function, captured

FORMS: dict[str, Any] = {"stock": lstm_stock, "triton": lstm_triton}
UNITS = (200, 650)
WINDOWS = {"training": (35, 20), "scoring": (256, 1)}
"""Steps and streams."""
TURNS, REPLAYS = 15, 20

Capture = Callable[[Function, Sequence[Tensor]], Captured]


def layer_times(
    device: str = "cuda", capture: Capture = captured, units: Sequence[int] = UNITS
) -> dict[str, dict[str, float]]:
    """Return for each width, window and precision the median microseconds of each form."""
    found = {}
    kinds = (("training", "bfloat16"), ("training", "float32"), ("scoring", "float32"))
    for width, (window, precision) in product(units, kinds):
        given = {name: _prepared(form, window, precision, device, width) for name, form in FORMS.items()}
        graphs = {name: capture(*one) for name, one in given.items()}  # which read `given` at every replay
        found[f"{width} units, {window} {precision}"] = _medians(
            {name: run for name, (run, _) in graphs.items()}, device
        )
    return found


def _prepared(form: Any, window: str, precision: str, device: str, units: int) -> tuple[Function, list[Tensor]]:
    """Return what is captured, and the tensors that it takes."""
    (steps, streams), trains = WINDOWS[window], window == "training"
    drawn = [torch.randn(steps, streams, units), torch.zeros(streams, units), torch.zeros(streams, units)]
    drawn += [torch.randn(4 * units, units) * units**-0.5 for _ in range(2)] + [torch.zeros(4 * units)]
    places = [tensor.to(device).requires_grad_(trains) for tensor in drawn]
    mask = (torch.rand(streams, units) < 0.7).float().div(0.7).to(device) if trains else None

    def passes(inputs: Tensor, hidden: Tensor, cell: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        low = torch.autocast(device, torch.bfloat16) if precision == "bfloat16" else nullcontext()
        with low, nullcontext() if trains else exact_products(inputs.device):
            outputs, state = form(inputs, (hidden, cell), LSTMWeights(*weights), mask)
        return torch.autograd.grad(outputs.float().sum(), places) if trains else (outputs, *state)

    return passes, places


def _medians(runs: dict[str, Callable[[], None]], device: str) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(TURNS):
        for name, run in runs.items():
            taken[name].append(_microseconds(run, device))
    return {name: statistics.median(times) for name, times in taken.items()}


def _microseconds(run: Callable[[], None], device: str) -> float:
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    began = time.perf_counter()
    for _ in range(REPLAYS):
        run()
    wait()
    return 1e6 * (time.perf_counter() - began) / REPLAYS
