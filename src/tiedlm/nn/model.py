"""The language models of the paper's section 5 and of Zilly et al. (2017): word tables around a stack of layers.

LSTM and GRU (the paper's VD-LSTM, and the cell that its section 2 names beside it):

    x_t = m_x * L[w_{t-1}]                            word vector under its mask (eq. 2.1)
    h^k = layer_k(h^{k-1}) under mask m_k             h^0 = x; the same mask in time and in depth
    features = h^K, or A h^K with a projection

RHN, under the four masks of the authors' code (github.com/julian121266/RecurrentHighwayNetworks, rhn.py and
rhn_train.py: noise_x, noise_i, noise_h, noise_o); the mask on what goes up is not that on what goes on:

    x_t = m_w[w_{t-1}] L[w_{t-1}]                     a word is dropped wherever it stands in the stream's window
    s^k = RHN_k(m_k * s^{k-1}) under mask m'_k        s^0 = x; m'_k on the state, at every step and depth
    features = m_o * s^K

Masks are drawn per window and stream. The carried state is raw: the next window masks it anew. Logits are not part of
the forward pass: the loss takes features and tables. A tied classifier has no bias, as in the paper, unless
`tied_bias` asks for one; in the code of Zilly et al. it keeps one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tiedlm.errors import ArgumentError
from tiedlm.nn.config import GRUConfig, LSTMConfig, ModelConfig, RHNConfig
from tiedlm.nn.dropout import Masks, MaskSpec, apply_mask, check_masks, draw_masks
from tiedlm.nn.tables import TiedTable, UntiedTables

State = tuple[Tensor, ...]
"""What is carried from one window to the next: tensors with the streams on axis 1."""


class LanguageModel(nn.Module):
    """Word vectors, K recurrent layers, classifier: the model that a config describes.

    Args:
        config: cell, widths, tying and keep probabilities.
        vocab_size: V.

    Parameters start uniform in (-init_range, init_range), an RHN's transform gates' biases at `transform_bias`; call
    `reset_parameters` with a generator for a seeded start.
    """

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__()
        self.config, self.masks = config, _mask_specs(config, vocab_size)
        width = config.units if isinstance(config, RHNConfig) else config.width
        self.tables = (
            TiedTable(vocab_size, width, bias=config.tied_bias)
            if config.tied
            else UntiedTables(vocab_size, width, config.units)
        )
        self.layers = nn.ModuleList(_layer(config, index) for index in range(config.layers))
        projected = not isinstance(config, RHNConfig) and config.project
        self.projection = nn.Linear(config.units, width, bias=False) if projected else None
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw every parameter anew, in the order of definition; `generator` None takes PyTorch's global one."""
        for parameter in self.parameters():
            parameter.uniform_(-self.config.init_range, self.config.init_range, generator=generator)
        if isinstance(self.config, RHNConfig):
            for layer in self.layers:
                layer.get_parameter("bias")[:, self.config.units :] = self.config.transform_bias

    def initial_state(self, streams: int) -> State:
        """Return the state before the first word: zeros [K, B, H], one tensor for each of `state_names`."""
        shape = (self.config.layers, streams, self.config.units)
        return tuple(self.classifier.new_zeros(shape) for _ in self.state_names)

    @property
    def state_names(self) -> tuple[str, ...]:
        """What the state holds: raw output h and cell c of an LSTM, h of a GRU, s of an RHN."""
        return {LSTMConfig: ("h", "c"), GRUConfig: ("h",), RHNConfig: ("s",)}[type(self.config)]

    def draw_masks(self, streams: int, generator: torch.Generator) -> Masks | None:
        """Return the masks of one window, one for each of `self.masks`, or None where the model drops nothing.

        LSTM and GRU: of x and of every layer, each [B, width]. RHN: of words [B, V], of every layer's input and state,
        and of the output, each [B, H]. None stands for each whose keep probability is 1.
        """
        return draw_masks(self.masks, streams, generator, self.classifier)

    def forward(self, tokens: Tensor, state: State, masks: Masks | None = None) -> tuple[Tensor, State]:
        """Return features [T, B, D] for word ids [T, B], and the raw state after them; `masks` None drops nothing.

        Raises:
            ArgumentError: tokens, state or masks of another type or shape than the model takes.
        """
        if tokens.dim() != 2 or tokens.dtype not in (torch.int64, torch.int32):
            raise ArgumentError(
                f"tokens are {tokens.dtype} {list(tokens.shape)}, but must be word ids [steps, streams], torch.int64."
            )
        streams = tokens.shape[1]
        shape, names = [self.config.layers, streams, self.config.units], self.state_names
        if [list(part.shape) for part in state] != [shape] * len(names):
            raise ArgumentError(
                f"the state holds the shapes {[list(part.shape) for part in state]}, but must be {' and '.join(names)} "
                f"of {shape} each: [layers, streams, units]. Start from initial_state(streams)."
            )
        first, *of_layers = check_masks(masks, self.masks, streams)
        outputs, output_mask = self.tables.embed(tokens), None
        if isinstance(self.config, RHNConfig):
            if first is not None:  # of words: each position reads its word's
                outputs = outputs * first.gather(1, tokens.T.long()).T.unsqueeze(2)
            *of_layers, output_mask = of_layers
        else:
            outputs = apply_mask(outputs, first)
        per_layer = len(of_layers) // len(self.layers)
        after = []
        for index, layer in enumerate(self.layers):
            layer_masks = tuple(of_layers[index * per_layer : (index + 1) * per_layer])
            outputs, layer_state = layer(outputs, tuple(part[index] for part in state), layer_masks)
            after.append(layer_state)
        features = apply_mask(outputs, output_mask)
        if self.projection is not None:
            features = self.projection(features)
        return features, tuple(torch.stack(part) for part in zip(*after, strict=True))

    @property
    def classifier(self) -> Tensor:
        """Classifier W [V, D]."""
        return self.tables.classifier

    @property
    def bias(self) -> Tensor | None:
        """Output bias b [V], or None."""
        return self.tables.bias

    @property
    def table(self) -> Tensor:
        """Word vectors L [V, width]; the classifier itself where tied."""
        return self.tables.vectors

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits [..., V] of features [..., D], bias included."""
        return self.tables.classify(features)

    def parameter_count(self) -> int:
        """Return the number of parameters, a tied table counted once."""
        return sum(parameter.numel() for parameter in self.parameters())


def _layer(config: ModelConfig, index: int) -> nn.Module:
    # imported here, so that a model loads its own cell alone
    if isinstance(config, RHNConfig):
        from tiedlm.nn.rhn import RHNLayer

        return RHNLayer(config.units, config.depth)
    inputs = config.width if index == 0 else config.units
    if isinstance(config, GRUConfig):
        from tiedlm.nn.gru import GRULayer

        return GRULayer(inputs, config.units)
    from tiedlm.nn.lstm import LSTMLayer

    return LSTMLayer(inputs, config.units)


def _mask_specs(config: ModelConfig, vocab_size: int) -> list[MaskSpec]:
    """Return the masks in the order in which they are drawn."""
    numbers = range(1, config.layers + 1)
    if not isinstance(config, RHNConfig):
        layers = [MaskSpec(f"layer {number}", config.units, config.keep_hidden) for number in numbers]
        return [MaskSpec("the word vectors", config.width, config.keep_input), *layers]
    layers = [
        MaskSpec(f"the {part} of layer {number}", config.units, keep)
        for number in numbers
        for part, keep in (("input", config.keep_input), ("state", config.keep_state))
    ]
    words = MaskSpec("the words", vocab_size, config.keep_words)
    return [words, *layers, MaskSpec("the output", config.units, config.keep_output)]
