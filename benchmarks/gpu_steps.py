"""Seconds of an epoch's training steps on a GPU: as `tiedlm train` takes them, and replayed from a captured graph."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from loss_variants import Case, naive
from step_variants import training_step
from step_windows import STEPS, STREAMS, WORDS, Window
from tiedlm.losses.linear import Implementation, linear_augmented_terms
from tiedlm.models.build import build_model
from tiedlm.models.contract import LanguageModel
from tiedlm.recipes.catalogue import recipe
from tiedlm.seeding import generator
from tiedlm.training.config import Precision, RunConfig

EPOCH_WINDOWS = 1328
"""Windows of 20 x 35 words in the Penn Treebank's training text."""
WARM_UP = 10
"""Steps that are not counted: kernels are picked and compiled in them."""
AS_IT_READS = "as it reads"
CAPTURED_LOSSES = ("auto", "functional", AS_IT_READS)
"""Losses that a capture is tried with: ours, its definition, and the equations in stock operations alone."""


def config_of(size: str, loss: str, precision: Precision) -> RunConfig:
    """Return the recipe of a size with cross-entropy (`ce`) or the augmented loss (`al`)."""
    config = recipe(f"ptb-{size}-{'re' if loss == 'ce' else 'real'}")
    return replace(config, runtime=replace(config.runtime, precision=precision))


def eager(config: RunConfig, some: Sequence[Window], device: str) -> dict[str, float]:
    """Return what the steps of `tiedlm train` take."""
    step = training_step(build_model(config.model, WORDS).to(device), config)
    return timed(lambda window: step(*window), some, device)


def captured(config: RunConfig, some: Sequence[Window], device: str, loss: str) -> dict[str, float]:
    """Return what a whole step takes that is captured once and replayed; RuntimeError where it cannot be captured."""
    step = StaticStep(build_model(config.model, WORDS).to(device), config, loss, device)
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for window in some[:3]:
            step.take(*window)
            step.run()
    torch.cuda.current_stream().wait_stream(aside)
    step.model.zero_grad()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step.run()

    def replay(window: Window) -> None:
        step.take(*window)
        graph.replay()

    found = timed(replay, some, device)
    if not bool(step.finite):
        raise RuntimeError("the replayed steps came to a loss or gradient that is not finite")
    return found


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


class StaticStep:
    """A training step in fixed places, which nothing waits for: what can be captured.

    It is `train_window` but for its errors: a loss or gradient that is not finite is noted in `finite` instead.
    """

    def __init__(self, model: LanguageModel, config: RunConfig, loss: str, device: str) -> None:
        self.model, self.config, self.loss, self.number = model, config, loss, 0
        self.inputs, self.targets = (torch.zeros(STEPS, STREAMS, dtype=torch.int64, device=device) for _ in range(2))
        self.carried = model.initial_state(STREAMS)
        self.masks = model.draw_masks(STREAMS, generator(config.seed, "masks", 0))
        self.finite = torch.ones((), dtype=torch.bool, device=device)

    def take(self, inputs: Tensor, targets: Tensor) -> None:
        """Put a window and its masks into their places."""
        self.inputs.copy_(inputs)
        self.targets.copy_(targets)
        drawn = self.model.draw_masks(STREAMS, generator(self.config.seed, "masks", self.number))
        for place, mask in zip(self.masks or [], drawn or [], strict=True):
            if place is not None and mask is not None:
                place.copy_(mask)
        self.number += 1

    def run(self) -> None:
        """Take the step on what is in the places."""
        self.model.zero_grad()
        with self.model.tables.one_gradient():
            features, state = self.model(self.inputs, self.carried, self.masks)
            total = self._total(features)
        total.backward()
        self._update(total.detach())
        for place, value in zip(self.carried, state, strict=True):
            place.copy_(value.detach())

    def _total(self, features: Tensor) -> Tensor:
        low = self.config.runtime.precision == "bfloat16"
        with torch.autocast(features.device.type, torch.bfloat16, enabled=low):
            if self.loss == AS_IT_READS:
                return self._as_it_reads(features)
            return self._ours(features, "functional" if self.loss == "functional" else "auto")

    def _as_it_reads(self, features: Tensor) -> Tensor:
        table, flat = self.model.classifier, features.flatten(0, 1)
        case = Case(len(flat), len(table), table.shape[1], flat, table, self.targets.flatten())
        return naive(case, detach=self.config.loss.detach_target) * len(flat)

    def _ours(self, features: Tensor, implementation: Implementation) -> Tensor:
        loss = self.config.loss
        options: dict[str, Any] = {"temperature": loss.temperature or 1.0, "gamma": loss.gamma}
        options |= {"detach_target": loss.detach_target, "reduction": "sum"}
        return linear_augmented_terms(features, self.model.classifier, self.targets, implementation, **options).total

    @torch.no_grad()
    def _update(self, total: Tensor) -> None:
        training = self.config.training
        moving = [(parameter, parameter.grad) for parameter in self.model.parameters() if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm([gradient for _, gradient in moving]) / STREAMS
        self.finite.logical_and_(norm.isfinite() & total.isfinite())
        length = (training.clip_norm / (norm + 1e-6)).clamp(max=1.0) * (-training.learning_rate / STREAMS)
        for parameter, gradient in moving:
            parameter.addcmul_(gradient, length)
