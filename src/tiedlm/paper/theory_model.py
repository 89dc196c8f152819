"""The model of the paper's theory experiment as its training begins, and what holds its word vectors at norm 1."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from tiedlm.nn.config import LSTMConfig
from tiedlm.nn.model import LanguageModel
from tiedlm.paper.theory_setting import TheoryConfig
from tiedlm.paper.theory_stretch import Stretch
from tiedlm.seeding import generator


def initial_model(config: TheoryConfig, words: int, run: int) -> LanguageModel:
    """Return the model before its training: word vectors at norm 1, no bias yet."""
    shape = LSTMConfig(units=config.units, layers=config.layers, tied=False, init_range=config.init_range)
    model = LanguageModel(shape, words)
    model.reset_parameters(generator(run, "theory"))
    with torch.no_grad():
        model.classifier.mul_(config.classifier_range / config.init_range)
        bias_of(model).zero_()
        hold_at_norm_1(model.table)
    return model


@torch.no_grad()
def hold_at_norm_1(table: Tensor) -> None:
    """Scale every row of a table [V, D] to norm 1, in place."""
    table.div_(table.norm(dim=1, keepdim=True))


def bias_of(model: LanguageModel) -> Tensor:
    """Return the classifier's bias [V]."""
    assert model.bias is not None  # the model is untied
    return model.bias


def features_by_window(model: LanguageModel, stretch: Stretch, config: TheoryConfig) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield h [N, D] and the target ids [N] of one window after the other; the state is carried, gradients are not."""
    device, state = model.classifier.device, model.initial_state(config.streams)
    for inputs, targets in stretch.streams(config.streams).windows(config.steps):
        features, state = model(inputs.to(device), state)
        state = tuple(part.detach() for part in state)
        yield features.flatten(0, 1), targets.flatten().to(device)
