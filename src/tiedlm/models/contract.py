"""What training and evaluation ask of a model: tokens and state in, features and state out.

Logits are not part of it: the loss takes features and tables, and logits exist only where somebody calls `logits`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from tiedlm.tying import TiedTable, UntiedTables

State = tuple[Tensor, ...]
"""What is carried from one window to the next: tensors with the streams on axis 1."""

Masks = list[Tensor | None]
"""Masks of one window, each [B, width], or None where nothing is dropped."""


class LanguageModel(nn.Module, ABC):
    """A model of the next word; concrete classes are final."""

    tables: TiedTable | UntiedTables

    @abstractmethod
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw every parameter anew from the model's initial distribution."""

    @abstractmethod
    def initial_state(self, streams: int) -> State:
        """Return the state before the first word, for B streams."""

    @abstractmethod
    def draw_masks(self, streams: int, generator: torch.Generator) -> Masks | None:
        """Return the dropout masks of one window, or None where the model drops nothing."""

    @abstractmethod
    def forward(self, tokens: Tensor, state: State, masks: Masks | None = None) -> tuple[Tensor, State]:
        """Return features [T, B, D] for word ids [T, B], and the state after them; without masks nothing is dropped."""

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
