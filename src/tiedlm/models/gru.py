"""A GRU language model, which the paper names beside the LSTM (section 2), under the masks of its VD-LSTM.

    x_t = m_x * L[w_{t-1}]                    word vector under its mask (eq. 2.1)
    h^k = GRU_k(h^{k-1}) under mask m_k       h^0 = x; the same mask in time and in depth (`layers.gru`)
    features = h^K, or A h^K with a projection

Masks are drawn per window and stream. The carried state is raw and is masked anew by the next window's masks.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from tiedlm.layers.gru import GRUWeights
from tiedlm.layers.gru_pick import gru_pick
from tiedlm.layers.variational import apply_mask
from tiedlm.models.config import GRUConfig
from tiedlm.models.contract import LanguageModel, Masks, State
from tiedlm.models.parameters import start_uniform, word_tables
from tiedlm.models.stack import run_stack, stack_masks, stack_widths
from tiedlm.models.window import check_masks, check_state, check_tokens, draw_masks


@final
class GRULanguageModel(LanguageModel):
    """Word vectors, K GRU layers, classifier; arguments and start as for `LSTMLanguageModel`."""

    def __init__(self, config: GRUConfig, words: int) -> None:
        super().__init__()
        self.config = config
        features = config.width if config.tied else config.units
        self.tables = word_tables(config.tied, words, config.width, features, tied_bias=config.tied_bias)
        self.layers = nn.ModuleList(GRULayer(inputs, units) for inputs, units in stack_widths(config))
        self.projection = nn.Linear(config.units, features, bias=False) if config.project else None
        self.masks = stack_masks(config)
        self.reset_parameters()

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw every parameter anew, uniform in (-init_range, init_range), in the order of their names' definition."""
        start_uniform(self, self.config.init_range, generator)

    def initial_state(self, streams: int) -> State:
        """Return zeros for the raw outputs h [K, B, H]."""
        return (self.classifier.new_zeros(self.config.layers, streams, self.config.units),)

    def draw_masks(self, streams: int, generator: torch.Generator) -> Masks | None:
        """Return the masks of x and of every layer, each [B, width]; None for each whose keep probability is 1."""
        return draw_masks(self.masks, streams, generator, self.classifier)

    def forward(self, tokens: Tensor, state: State, masks: Masks | None = None) -> tuple[Tensor, State]:
        """Return features [T, B, D] for word ids [T, B], and the raw state after them."""
        check_tokens(tokens)
        check_state(state, ("h",), self.config.layers, tokens.shape[1], self.config.units)
        mask_of_input, *mask_of_layer = check_masks(masks, self.masks, tokens.shape[1])
        inputs = apply_mask(self.tables.embed(tokens), mask_of_input)
        outputs, after = run_stack(self.layers, inputs, state, mask_of_layer)
        return outputs if self.projection is None else self.projection(outputs), after


@final
class GRULayer(nn.Module):
    """Parameters of one GRU layer, run by the form that `layers.gru_pick` picks."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.weight_input = nn.Parameter(torch.empty(3 * units, inputs))
        self.weight_hidden = nn.Parameter(torch.empty(3 * units, units))
        self.bias_input = nn.Parameter(torch.empty(3 * units))
        self.bias_hidden = nn.Parameter(torch.empty(3 * units))

    def forward(self, inputs: Tensor, state: State, mask: Tensor | None) -> tuple[Tensor, State]:
        """Return masked outputs [T, B, H] and the raw state after them, a tuple of one."""
        weights = GRUWeights(self.weight_input, self.weight_hidden, self.bias_input, self.bias_hidden)
        outputs, last = gru_pick(inputs, state[0], weights, mask)
        return outputs, (last,)
