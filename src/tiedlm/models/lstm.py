"""The paper's VD-LSTM language model (Inan et al. 2017, section 5): layers of LSTM between word vectors and classifier.

    x_t = m_x * L[w_{t-1}]                    word vector under its mask (eq. 2.1)
    h^k = LSTM_k(h^{k-1}) under mask m_k      h^0 = x; the same mask in time and in depth (`layers.lstm`)
    features = h^K, or A h^K with a projection

Masks are drawn per window and stream. The carried state is raw and is masked anew by the next window's masks.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from tiedlm.layers.lstm import LSTMWeights
from tiedlm.layers.lstm_pick import lstm_pick
from tiedlm.layers.variational import apply_mask
from tiedlm.models.config import LSTMConfig
from tiedlm.models.contract import LanguageModel, Masks, State
from tiedlm.models.parameters import start_uniform, word_tables
from tiedlm.models.stack import run_stack, stack_masks, stack_widths
from tiedlm.models.window import check_masks, check_state, check_tokens, draw_masks


@final
class LSTMLanguageModel(LanguageModel):
    """Word vectors, K LSTM layers, classifier.

    Args:
        config: widths, tying and keep probabilities.
        words: V.

    Parameters start uniform in (-init_range, init_range); call `reset_parameters` with a generator for a seeded start.
    """

    def __init__(self, config: LSTMConfig, words: int) -> None:
        super().__init__()
        self.config = config
        features = config.width if config.tied else config.units
        self.tables = word_tables(config.tied, words, config.width, features, tied_bias=config.tied_bias)
        self.layers = nn.ModuleList(LSTMLayer(inputs, units) for inputs, units in stack_widths(config))
        self.projection = nn.Linear(config.units, features, bias=False) if config.project else None
        self.masks = stack_masks(config)
        self.reset_parameters()

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw every parameter anew, uniform in (-init_range, init_range), in the order of their names' definition."""
        start_uniform(self, self.config.init_range, generator)

    def initial_state(self, streams: int) -> State:
        """Return zeros for raw outputs h and cells c, each [K, B, H]."""
        shape = (self.config.layers, streams, self.config.units)
        return self.classifier.new_zeros(shape), self.classifier.new_zeros(shape)

    def draw_masks(self, streams: int, generator: torch.Generator) -> Masks | None:
        """Return the masks of x and of every layer, each [B, width]; None for each whose keep probability is 1."""
        return draw_masks(self.masks, streams, generator, self.classifier)

    def forward(self, tokens: Tensor, state: State, masks: Masks | None = None) -> tuple[Tensor, State]:
        """Return features [T, B, D] for word ids [T, B], and the raw state after them."""
        check_tokens(tokens)
        check_state(state, ("h", "c"), self.config.layers, tokens.shape[1], self.config.units)
        mask_of_input, *mask_of_layer = check_masks(masks, self.masks, tokens.shape[1])
        inputs = apply_mask(self.tables.embed(tokens), mask_of_input)
        outputs, after = run_stack(self.layers, inputs, state, mask_of_layer)
        return outputs if self.projection is None else self.projection(outputs), after


@final
class LSTMLayer(nn.Module):
    """Parameters of one LSTM layer, run by the form that `layers.lstm_pick` picks."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.weight_input = nn.Parameter(torch.empty(4 * units, inputs))
        self.weight_hidden = nn.Parameter(torch.empty(4 * units, units))
        self.bias = nn.Parameter(torch.empty(4 * units))

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor], mask: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return masked outputs [T, B, H] and the raw state after them."""
        return lstm_pick(inputs, state, LSTMWeights(self.weight_input, self.weight_hidden, self.bias), mask)
