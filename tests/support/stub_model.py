"""Language models whose probabilities can be written down."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from tiedlm.models.contract import LanguageModel, Masks, State
from tiedlm.tying import TiedTable


@final
class BigramModel(LanguageModel):
    """p(next | word) = a given table [V, V]; the state counts the words that were read."""

    def __init__(self, probabilities: Tensor) -> None:
        super().__init__()
        words = len(probabilities)
        self.tables = TiedTable(words, words)
        self.tables.weight.data = torch.eye(words)  # features are the logits
        self.rows = probabilities.log().float()
        self.calls: list[int] = []

    def initial_state(self, streams: int) -> State:
        return (torch.zeros(1, streams, 1),)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        pass

    def draw_masks(self, streams: int, generator: torch.Generator) -> Masks | None:
        return None

    def forward(self, tokens: Tensor, state: State, masks: Masks | None = None) -> tuple[Tensor, State]:
        self.calls.append(int(state[0].sum()))
        return self.rows[tokens], (state[0] + len(tokens),)


@final
class UniformModel(LanguageModel):
    """Gives every word the same probability at next to no cost, whatever the number of words: features have width 1."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.tables = TiedTable(words, 1)
        self.tables.weight.data = torch.zeros(words, 1)

    def initial_state(self, streams: int) -> State:
        return (torch.zeros(1, streams, 1),)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        pass

    def draw_masks(self, streams: int, generator: torch.Generator) -> Masks | None:
        return None

    def forward(self, tokens: Tensor, state: State, masks: Masks | None = None) -> tuple[Tensor, State]:
        return torch.zeros(*tokens.shape, 1), state
