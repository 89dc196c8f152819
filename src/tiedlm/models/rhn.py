"""The VD-RHN language model (Zilly et al. 2017): recurrent highway layers between word vectors and classifier.

    x_t = m_w[w_{t-1}] L[w_{t-1}]                     a word is dropped wherever it stands in the stream's window
    s^k = RHN_k(m_k * s^{k-1}) under mask m'_k        s^0 = x; m'_k on the state, at every step and depth (`layers.rhn`)
    features = m_o * s^K

These are the four masks of the authors' code (github.com/julian121266/RecurrentHighwayNetworks, rhn.py and
rhn_train.py: noise_x, noise_i, noise_h, noise_o), each drawn per window and stream. Unlike the VD-LSTM's, the mask on
what goes up is not that on what goes on. The carried state is raw. A tied classifier has no bias here, as in the paper
that proposes RE (its section 4), unless `tied_bias` asks for it; in the authors' code it keeps one.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from tiedlm.layers.rhn import RHNWeights
from tiedlm.layers.rhn_pick import rhn_pick
from tiedlm.layers.variational import apply_mask
from tiedlm.models.config import RHNConfig
from tiedlm.models.contract import LanguageModel, Masks, State
from tiedlm.models.parameters import start_uniform, word_tables
from tiedlm.models.window import Due, check_masks, check_state, check_tokens, draw_masks


@final
class RHNLanguageModel(LanguageModel):
    """Word vectors, K recurrent highway layers, classifier.

    Args:
        config: units, depth, tying and keep probabilities.
        words: V.

    Parameters start uniform in (-init_range, init_range), the transform gates' biases at `transform_bias`.
    """

    def __init__(self, config: RHNConfig, words: int) -> None:
        super().__init__()
        self.config = config
        self.tables = word_tables(config.tied, words, config.units, config.units, tied_bias=config.tied_bias)
        self.layers = nn.ModuleList(RHNLayer(config.units, config.depth) for _ in range(config.layers))
        self.masks = _masks(config, words)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw every parameter anew, uniform in (-init_range, init_range), and set the transform gates' biases."""
        start_uniform(self, self.config.init_range, generator)
        for layer in self.layers:
            assert isinstance(layer, RHNLayer)
            layer.bias[:, self.config.units :] = self.config.transform_bias

    def initial_state(self, streams: int) -> State:
        """Return zeros for the states s [K, B, H]."""
        return (self.classifier.new_zeros(self.config.layers, streams, self.config.units),)

    def draw_masks(self, streams: int, generator: torch.Generator) -> Masks | None:
        """Return the masks of words [B, V], of every layer's input and state, and of the output, each [B, H].

        None stands for each whose keep probability is 1.
        """
        return draw_masks(self.masks, streams, generator, self.classifier)

    def forward(self, tokens: Tensor, state: State, masks: Masks | None = None) -> tuple[Tensor, State]:
        """Return features [T, B, D] for word ids [T, B], and the raw state after them."""
        check_tokens(tokens)
        check_state(state, ("s",), self.config.layers, tokens.shape[1], self.config.units)
        mask_of_words, *mask_of_layer, mask_of_output = check_masks(masks, self.masks, tokens.shape[1])
        outputs = self.tables.embed(tokens)
        if mask_of_words is not None:
            outputs = outputs * mask_of_words.gather(1, tokens.T.long()).T.unsqueeze(2)
        after = []
        pairs = zip(mask_of_layer[::2], mask_of_layer[1::2], strict=True)
        for layer, (mask_of_input, mask_of_state), s in zip(self.layers, pairs, state[0], strict=True):
            outputs, last = layer(apply_mask(outputs, mask_of_input), s, mask_of_state)
            after.append(last)
        return apply_mask(outputs, mask_of_output), (torch.stack(after),)


def _masks(config: RHNConfig, words: int) -> list[Due]:
    layers = [
        Due(f"the {part} of layer {layer + 1}", config.units, keep)
        for layer in range(config.layers)
        for part, keep in (("input", config.keep_input), ("state", config.keep_state))
    ]
    return [Due("the words", words, config.keep_words), *layers, Due("the output", config.units, config.keep_output)]


@final
class RHNLayer(nn.Module):
    """Parameters of one recurrent highway layer, run by `layers.rhn_pick`."""

    def __init__(self, units: int, depth: int) -> None:
        super().__init__()
        self.weight_input = nn.Parameter(torch.empty(2 * units, units))
        self.weight_hidden = nn.Parameter(torch.empty(depth, 2 * units, units))
        self.bias = nn.Parameter(torch.empty(depth, 2 * units))

    def forward(self, inputs: Tensor, state: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return outputs [T, B, H], raw, and the state after them."""
        return rhn_pick(inputs, state, RHNWeights(self.weight_input, self.weight_hidden, self.bias), mask)
