"""The training steps that are compared: the recipes `ptb-small-*`, and a plain PyTorch word LSTM of the same size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from step_windows import STREAMS, WORDS
from tiedlm.layers.precision import has_lstm_kernel
from tiedlm.models.build import build_model
from tiedlm.models.contract import LanguageModel
from tiedlm.recipes.catalogue import recipe
from tiedlm.runs.config import RunConfig
from tiedlm.seeding import generator
from tiedlm.training.step import Gradients, train_window, window_gradients

Step = Callable[[Tensor, Tensor], float]
"""One step on a window of inputs and targets [T, B]; returns its loss, summed over the words."""

PLAIN = "plain-lstm"


@dataclass(frozen=True)
class Variant:
    """One kind of step."""

    model: str
    """`PLAIN`, or a recipe."""
    gradient: str = ""
    """For the augmented loss: `through` its target, as written, or `detached` from it."""
    precision: str = "float32"
    """Type of what goes into matrix products."""

    @property
    def name(self) -> str:
        """Return the parts in one word."""
        return "/".join(part for part in (self.model, self.gradient, self.precision) if part)

    def make(self) -> Step:
        """Return the step, with new weights."""
        return plain_step(self.precision) if self.model == PLAIN else recipe_step(self.config())

    def config(self) -> RunConfig:
        """Return the recipe with this reading of the gradient and this precision."""
        config = recipe(self.model)
        loss = replace(config.loss, detach_target=self.gradient == "detached") if self.gradient else config.loss
        return replace(config, loss=loss, runtime=replace(config.runtime, precision=self.precision))


VARIANTS = [
    Variant(model, gradient, precision)
    for precision in ("float32", "bfloat16")
    for model, gradient in (
        (PLAIN, ""),
        ("ptb-small-vd", ""),
        ("ptb-small-re", ""),
        ("ptb-small-real", "through"),
        ("ptb-small-real", "detached"),
    )
    if (model, precision) != (PLAIN, "bfloat16") or has_lstm_kernel(torch.bfloat16)
]
"""The first is the one that the others are compared with; PyTorch's LSTM does not run in bfloat16 on every CPU."""


def recipe_step(config: RunConfig) -> Step:
    """Return the step that `tiedlm train` takes, with new weights."""
    return training_step(build_model(config.model, WORDS), config)


def training_step(model: LanguageModel, config: RunConfig, gradients: Gradients = window_gradients) -> Step:
    """Return the step that `tiedlm train` takes with a model, masks drawn and state carried as there."""
    rate, carried, number = config.training.learning_rate, model.initial_state(STREAMS), 0

    def step(inputs: Tensor, targets: Tensor) -> float:
        nonlocal carried, number
        masks = model.draw_masks(STREAMS, generator(config.seed, "masks", number))
        result = train_window(model, rate, inputs, targets, carried, masks, config, gradients=gradients)
        carried, number = result.carried, number + 1
        return result.loss_sum

    return step


def plain_step(precision: str, like: str = "ptb-small-re", device: str = "cpu") -> Step:
    """Return the step of a stock two-layer LSTM: tied, cross-entropy, no dropout, the same clipping and SGD."""
    config = recipe(like)
    units, layers = config.model.units, config.model.layers
    table, lstm = nn.Embedding(WORDS, units, device=device), nn.LSTM(units, units, layers, device=device)
    parameters = [*table.parameters(), *lstm.parameters()]
    for parameter in parameters:
        nn.init.uniform_(parameter, -config.model.init_range, config.model.init_range)
    optimizer = torch.optim.SGD(parameters, lr=config.training.learning_rate)
    state = (torch.zeros(layers, STREAMS, units, device=device), torch.zeros(layers, STREAMS, units, device=device))

    def step(inputs: Tensor, targets: Tensor) -> float:
        nonlocal state
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bfloat16"):
            features, (hidden, cell) = lstm(table(inputs), state)
            logits = F.linear(features.flatten(0, 1), table.weight)
            loss = F.cross_entropy(logits, targets.flatten(), reduction="sum")
        optimizer.zero_grad()
        (loss / STREAMS).backward()
        nn.utils.clip_grad_norm_(parameters, config.training.clip_norm)
        optimizer.step()
        state = (hidden.detach().float(), cell.detach().float())
        return float(loss.detach())

    return step
