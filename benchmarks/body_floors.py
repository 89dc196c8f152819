"""How fast a step could be: its products at this machine's own rate, its update at the rate of its memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import mean

import torch

from body_parts import Part
from step_windows import STEPS, STREAMS, WORDS, Window

SQUARE = 1536
"""Rows and columns of the product that is timed: large enough for the full rate, small enough for a turn."""
COPIED_MIB = 64


def probes(device: str) -> dict[str, Callable[[], object]]:
    """Return what the rates are measured by: a product of squares, and a copy that no cache holds."""
    left, right, product = (torch.ones(SQUARE, SQUARE, device=device) for _ in range(3))
    source, target = (torch.ones(COPIED_MIB * 2**18, device=device) for _ in range(2))

    def waited(work: Callable[[], object]) -> Callable[[], object]:
        return work if device == "cpu" else lambda: (work(), torch.cuda.synchronize())

    return {
        "product": waited(lambda: torch.mm(left, right, out=product)),
        "copy": waited(lambda: target.copy_(source)),
    }


def rates(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """Return operations a second of the fastest product, and bytes a second, read and written, of the fastest copy."""
    return {
        "product": 2 * SQUARE**3 / min(seconds["product"]),
        "copy": 2 * COPIED_MIB * 2**20 / min(seconds["copy"]),
    }


def distinct_targets(windows: Sequence[Window]) -> float:
    """Return the mean number of different words that a window's targets hold (U)."""
    return mean(len(targets.unique()) for _, targets in windows)


def floors(units: int, layers: int, distinct: float, rate: Mapping[str, float]) -> dict[Part, float]:
    """Return part → seconds that its products, or its reads and writes, take at the rates.

    Args:
        units: H, which is also the width of the word vectors.
        layers: K.
        distinct: U, different targets in a window.
        rate: as `rates` returns it.
    """
    rows, weights = STREAMS * STEPS, layers * 4 * units * 2 * units
    forward = 2 * rows * weights / rate["product"]
    losses = {loss: 6 * taken * WORDS * units / rate["product"] for loss, taken in _rows_of(rows, distinct).items()}
    parameters = WORDS * units + weights + layers * 4 * units
    update = 4 * 4 * parameters / rate["copy"]  # the norm reads the gradients; the move reads both and writes one
    found = {Part("forward"): forward, Part("layers"): 3 * forward, Part("backward"): 2 * forward}
    found |= {Part("loss", "", loss): seconds for loss, seconds in losses.items()}
    found |= {Part("step", "picked", loss): 3 * forward + seconds + update for loss, seconds in losses.items()}
    return found | {Part("update", ""): update}


def _rows_of(rows: int, distinct: float) -> dict[str, float]:
    """Return loss → rows of its three products: a soft target of the augmented loss is one more for each word."""
    return {"ce": rows, "al": rows + distinct}
