"""The networks that are compared: two LSTM layers of a recipe in each of their forms, and `nn.LSTM` without masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor, nn

from step_windows import WORDS
from tiedlm.layers.lstm import LSTMState, LSTMWeights, lstm_loop
from tiedlm.layers.lstm_pick import lstm_pick
from tiedlm.layers.lstm_stock import lstm_stock
from tiedlm.models.config import LSTMConfig
from tiedlm.models.contract import LanguageModel, Masks, State
from tiedlm.models.lstm import LSTMLanguageModel, LSTMLayer
from tiedlm.models.parameters import start_uniform
from tiedlm.models.stack import run_stack
from tiedlm.recipes.catalogue import recipe
from tiedlm.tying import TiedTable

Layer = Callable[[Tensor, LSTMState, LSTMWeights, Tensor | None], tuple[Tensor, LSTMState]]
PLAIN, LOOP, PICKED = "plain", "loop", "picked"
LAYERS: dict[str, Layer] = {LOOP: lstm_loop, "stock": lstm_stock, PICKED: lstm_pick}
FORMS = (PLAIN, *LAYERS)
"""`nn.LSTM` without masks; then ours: the definition, the masks on the stock kernel, and what the library picks."""


def made(size: str, form: str, device: str = "cpu") -> LSTMLanguageModel | PlainModel:
    """Return the tied network of a size in a form, with new weights.

    Args:
        size: small, medium or large.
        form: one of `FORMS`.
        device: where its parameters are.
    """
    config = recipe(f"ptb-{size}-re").model
    assert isinstance(config, LSTMConfig)
    if form == PLAIN:
        return PlainModel(config).to(device)
    model = LSTMLanguageModel(config, WORDS)
    model.layers = nn.ModuleList(_InForm(layer, LAYERS[form]) for layer in model.layers)
    return model.to(device)


@final
class PlainModel(LanguageModel):
    """A stock LSTM without masks between the readings of a tied table."""

    def __init__(self, config: LSTMConfig) -> None:
        super().__init__()
        self.config = config
        self.tables = TiedTable(WORDS, config.units)
        self.lstm = nn.LSTM(config.units, config.units, config.layers)
        self.reset_parameters()

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw every parameter anew."""
        start_uniform(self, self.config.init_range, generator)

    def initial_state(self, streams: int) -> State:
        """Return zeros for h and c, each [K, B, H]."""
        shape = (self.config.layers, streams, self.config.units)
        return self.classifier.new_zeros(shape), self.classifier.new_zeros(shape)

    def draw_masks(self, streams: int, generator: torch.Generator) -> Masks | None:
        """Return None: nothing is dropped."""
        return None

    def forward(self, tokens: Tensor, state: State, masks: Masks | None = None) -> tuple[Tensor, State]:
        """Return features and state."""
        return self.lstm(self.tables.embed(tokens), state)


@final
class _InForm(nn.Module):
    """A layer's parameters, run by another form."""

    def __init__(self, layer: nn.Module, form: Layer) -> None:
        super().__init__()
        assert isinstance(layer, LSTMLayer)
        self.layer, self.form = layer, form

    def forward(self, inputs: Tensor, state: LSTMState, mask: Tensor | None) -> tuple[Tensor, LSTMState]:
        """Return masked outputs and raw state."""
        layer = self.layer
        return self.form(inputs, state, LSTMWeights(layer.weight_input, layer.weight_hidden, layer.bias), mask)


def layers_of(model: LSTMLanguageModel | PlainModel) -> nn.Module:
    """Return the part of a model that is between word vectors and features."""
    return model.lstm if isinstance(model, PlainModel) else model.layers


def run_layers(model: LSTMLanguageModel | PlainModel, inputs: Tensor, state: State, masks: Masks | None) -> Tensor:
    """Return features [T, B, H] of word vectors [T, B, H]; `masks` as the model draws them."""
    if isinstance(model, PlainModel):
        return model.lstm(inputs, state)[0]
    assert masks is not None
    return run_stack(model.layers, inputs, state, masks[1:])[0]
