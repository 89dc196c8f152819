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

from tiedlm.errors import ArgumentError
from tiedlm.layers.lstm import LSTMWeights
from tiedlm.layers.lstm_stock import lstm_stock
from tiedlm.layers.variational import draw_mask
from tiedlm.models.config import LSTMConfig
from tiedlm.models.contract import LanguageModel, Masks, State
from tiedlm.tying import TiedTable, UntiedTables


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
        self.tables = TiedTable(words, config.width) if config.tied else UntiedTables(words, config.width, features)
        self.layers = nn.ModuleList(
            LSTMLayer(config.width if layer == 0 else config.units, config.units) for layer in range(config.layers)
        )
        self.projection = nn.Linear(config.units, features, bias=False) if config.project else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw every parameter anew, uniform in (-init_range, init_range), in the order of their names' definition."""
        for parameter in self.parameters():
            parameter.uniform_(-self.config.init_range, self.config.init_range, generator=generator)

    def initial_state(self, streams: int) -> State:
        """Return zeros for raw outputs h and cells c, each [K, B, H]."""
        shape = (self.config.layers, streams, self.config.units)
        return self.classifier.new_zeros(shape), self.classifier.new_zeros(shape)

    def draw_masks(self, streams: int, generator: torch.Generator) -> Masks | None:
        """Return the masks of x and of every layer, each [B, width]; None for each whose keep probability is 1."""
        config = self.config
        sizes = [(config.width, config.keep_input)] + [(config.units, config.keep_hidden)] * config.layers
        if all(keep == 1 for _, keep in sizes):
            return None
        place = {"device": self.classifier.device, "dtype": self.classifier.dtype}
        return [None if keep == 1 else draw_mask(streams, width, keep, generator, **place) for width, keep in sizes]

    def forward(self, tokens: Tensor, state: State, masks: Masks | None = None) -> tuple[Tensor, State]:
        """Return features [T, B, D] for word ids [T, B], and the raw state after them."""
        self._check_window(tokens, state, masks)
        mask_of_input, *mask_of_layer = masks or [None] * (len(self.layers) + 1)
        outputs = self.tables.embed(tokens)
        if mask_of_input is not None:
            outputs = outputs * mask_of_input
        hidden, cell = [], []
        for layer, mask, h, c in zip(self.layers, mask_of_layer, *state, strict=True):
            outputs, (last_h, last_c) = layer(outputs, (h, c), mask)
            hidden.append(last_h)
            cell.append(last_c)
        if self.projection is not None:
            outputs = self.projection(outputs)
        return outputs, (torch.stack(hidden), torch.stack(cell))

    def _check_window(self, tokens: Tensor, state: State, masks: Masks | None) -> None:
        """Refuse word ids, state and masks that do not go together; the layers check their own shapes."""
        if tokens.dim() != 2 or tokens.dtype not in (torch.int64, torch.int32):
            raise ArgumentError(
                f"tokens are {tokens.dtype} {list(tokens.shape)}, but must be word ids [steps, streams], torch.int64."
            )
        wanted = [len(self.layers), tokens.shape[1], self.config.units]
        if [list(part.shape) for part in state] != [wanted, wanted]:
            raise ArgumentError(
                f"the state holds the shapes {[list(part.shape) for part in state]}, but must be h and c of {wanted} "
                "each: [layers, streams, units]. Start from initial_state(streams)."
            )
        if masks is not None and len(masks) != len(self.layers) + 1:
            raise ArgumentError(
                f"{len(masks)} masks arrived, but {len(self.layers) + 1} are due: one for the word vectors and one a "
                "layer, or None for no mask at all."
            )
        first = masks[0] if masks else None
        if first is not None and first.shape != (tokens.shape[1], self.config.width):
            raise ArgumentError(
                f"the mask on the word vectors has the shape {list(first.shape)}, but must be "
                f"{[tokens.shape[1], self.config.width]}: [streams, width]."
            )


@final
class LSTMLayer(nn.Module):
    """Parameters of one LSTM layer, run by the stock kernel (`layers.lstm_stock`)."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.weight_input = nn.Parameter(torch.empty(4 * units, inputs))
        self.weight_hidden = nn.Parameter(torch.empty(4 * units, units))
        self.bias = nn.Parameter(torch.empty(4 * units))

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor], mask: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return masked outputs [T, B, H] and the raw state after them."""
        return lstm_stock(inputs, state, LSTMWeights(self.weight_input, self.weight_hidden, self.bias), mask)
