"""Seconds of an epoch's training steps on a GPU: launched kernel by kernel, and replayed from a captured graph."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from step_variants import training_step
from step_windows import WORDS, Window
from tiedlm.models.build import build_model
from tiedlm.recipes.catalogue import recipe
from tiedlm.runs.config import Precision, RunConfig
from tiedlm.training.replayed import ReplayedGradients
from tiedlm.training.step import Gradients, window_gradients

EPOCH_WINDOWS = 1328
"""Windows of 20 x 35 words in the Penn Treebank's training text."""
WARM_UP = 10
"""Steps that are not counted: kernels are picked and compiled in them."""


def config_of(size: str, loss: str, precision: Precision) -> RunConfig:
    """Return the recipe of a size with cross-entropy (`ce`) or the augmented loss (`al`)."""
    config = recipe(f"ptb-{size}-{'re' if loss == 'ce' else 'real'}")
    return replace(config, runtime=replace(config.runtime, precision=precision))


def launched(config: RunConfig, some: Sequence[Window], device: str) -> dict[str, float]:
    """Return what steps take whose passes are launched one by one."""
    return _timed(config, some, device, window_gradients)


def replayed(config: RunConfig, some: Sequence[Window], device: str) -> dict[str, float]:
    """Return what the steps of `tiedlm train` take on a GPU, whose passes are replayed.

    Raises:
        UserWarning: they could not be replayed, and why.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return _timed(config, some, device, ReplayedGradients())


def _timed(config: RunConfig, some: Sequence[Window], device: str, gradients: Gradients) -> dict[str, float]:
    step = training_step(build_model(config.model, WORDS).to(device), config, gradients)
    return timed(lambda window: step(*window), some, device)


def timed(step: Callable[[Window], object], some: Sequence[Window], device: str) -> dict[str, float]:
    """Return milliseconds of a step, seconds of an epoch of them, and the most memory that was held."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    for window in some[:WARM_UP]:
        step(window)
    _wait(device)
    began = time.perf_counter()
    for window in some[WARM_UP:]:
        step(window)
    _wait(device)
    each = (time.perf_counter() - began) / (len(some) - WARM_UP)
    memory = torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else 0.0
    return {"step_ms": 1000 * each, "epoch_seconds": EPOCH_WINDOWS * each, "peak_memory_mib": memory}


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
