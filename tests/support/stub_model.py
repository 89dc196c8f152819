"""Language models whose probabilities can be written down."""

from __future__ import annotations

import torch
from torch import Tensor

from tiedlm.nn.config import LSTMConfig
from tiedlm.nn.dropout import Masks
from tiedlm.nn.model import LanguageModel, State


class BigramModel(LanguageModel):
    """p(next | word) = a given table [V, V]; the state counts the words that were read."""

    def __init__(self, probabilities: Tensor) -> None:
        size = len(probabilities)
        super().__init__(LSTMConfig(units=size, layers=1, tied=True), size)
        self.tables.weight.data = torch.eye(size)  # features are the logits
        self.rows = probabilities.log().float()
        self.calls: list[int] = []

    def initial_state(self, streams: int) -> State:
        return (torch.zeros(1, streams, 1),)

    def forward(self, tokens: Tensor, state: State, masks: Masks | None = None) -> tuple[Tensor, State]:
        self.calls.append(int(state[0].sum()))
        return self.rows[tokens], (state[0] + len(tokens),)


class UniformModel(LanguageModel):
    """Gives every word the same probability at next to no cost, whatever the number of words: features have width 1."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__(LSTMConfig(units=1, layers=1, tied=True), vocab_size)
        self.tables.weight.data = torch.zeros(vocab_size, 1)

    def initial_state(self, streams: int) -> State:
        return (torch.zeros(1, streams, 1),)

    def forward(self, tokens: Tensor, state: State, masks: Masks | None = None) -> tuple[Tensor, State]:
        return torch.zeros(*tokens.shape, 1), state
