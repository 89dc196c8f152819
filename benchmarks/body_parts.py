"""What is timed at one size: whole steps, the layers alone, and what else a step is made of."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import torch

from body_models import FORMS, PICKED, layers_of, made, run_layers
from step_variants import plain_step, training_step
from step_windows import STEPS, STREAMS, Window
from tiedlm.losses.linear import linear_augmented_terms
from tiedlm.recipes.catalogue import recipe
from tiedlm.runs.config import RunConfig
from tiedlm.seeding import generator
from tiedlm.training.update import descend

RECIPES = {"ce": "re", "al": "real"}
"""Loss → end of the recipe's name."""
Run = Callable[[Window], object]


class Part(NamedTuple):
    """One thing that is timed."""

    part: str
    """`step`; `layers`, forward and backward, or their `forward` alone; `loss` with its gradients; `update`."""
    form: str = PICKED
    """Of the layers: one of `FORMS`; or `pytorch`, a step with nothing of ours in it."""
    loss: str = ""
    """`ce` or `al`, where one is taken."""

    @property
    def name(self) -> str:
        """Return the parts in one word."""
        return "/".join(part for part in self if part)


PYTORCH = Part("step", "pytorch", "ce")
COMPARED = [PYTORCH, *(Part("step", form, loss) for loss in RECIPES for form in FORMS)]
COMPARED += [Part("layers", form) for form in FORMS]
"""What is compared, and what memory is told of."""
PIECES = [Part("forward"), *(Part("loss", "", loss) for loss in RECIPES), Part("update", "")]
"""What else a step is made of, in the form that the library picks."""


def config_of(size: str, loss: str) -> RunConfig:
    """Return the recipe of a size with a loss."""
    return recipe(f"ptb-{size}-{RECIPES[loss]}")


class Bench:
    """The networks of one size on one device, each made when it is first asked for and then shared by its parts."""

    def __init__(self, size: str, device: str) -> None:
        self.size, self.device = size, device
        self.model = functools.cache(lambda form: made(size, form, device))

    def run(self, part: Part) -> Run:
        """Return what is to be timed; it waits for the end of its work on an accelerator."""
        work = {"step": self._step, "layers": self._layers, "forward": self._layers, "loss": self._loss}
        run = self._update() if part.part == "update" else work[part.part](part)
        if self.device == "cpu":
            return run
        return lambda window: (run(window), torch.cuda.synchronize())

    def _step(self, part: Part) -> Run:
        config = config_of(self.size, part.loss)
        if part == PYTORCH:
            step = plain_step("float32", config.recipe, self.device)
        else:
            step = training_step(self.model(part.form), config)
        return lambda window: step(*window)

    def _layers(self, part: Part) -> Run:
        model, draws = self.model(part.form), torch.Generator().manual_seed(0)
        units = model.config.units
        inputs, arriving = (torch.randn(STEPS, STREAMS, units, generator=draws).to(self.device) for _ in range(2))
        wanted = [inputs.requires_grad_(), *layers_of(model).parameters()]
        state, masks = model.initial_state(STREAMS), model.draw_masks(STREAMS, generator(0, "masks", 0))
        forward = functools.partial(run_layers, model, inputs, state, masks)
        if part.part == "forward":
            return lambda window: forward()
        return lambda window: torch.autograd.grad(forward(), wanted, arriving)

    def _loss(self, part: Part) -> Run:
        table, loss = self.model(PICKED).tables, config_of(self.size, part.loss).loss
        shape = (STEPS, STREAMS, table.classifier.shape[1])
        features = (0.3 * torch.randn(shape, generator=torch.Generator().manual_seed(0))).to(self.device)
        features.requires_grad_()
        options = {"temperature": loss.temperature or 1.0, "gamma": loss.gamma, "detach_target": loss.detach_target}

        def run(window: Window) -> None:
            features.grad = table.classifier.grad = None
            linear_augmented_terms(features, table.classifier, window[1], reduction="sum", **options).total.backward()

        return run

    def _update(self) -> Run:
        parameters = list(self.model(PICKED).parameters())
        for parameter in parameters:
            parameter.grad = torch.full_like(parameter, 1e-3)
        clip_norm = config_of(self.size, "ce").training.clip_norm
        return lambda window: descend(parameters, 1e-9, clip_norm)
