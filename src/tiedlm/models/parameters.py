"""What models of every kind do alike to their parameters: the word tables of a config, and a uniform start."""

from __future__ import annotations

import torch
from torch import nn

from tiedlm.tying import TiedTable, UntiedTables


def word_tables(tied: bool, words: int, width: int, units: int, *, tied_bias: bool = False) -> TiedTable | UntiedTables:
    """Return one table [V, width], with a bias or without, or word vectors beside a classifier [V, units] with one."""
    return TiedTable(words, width, bias=tied_bias) if tied else UntiedTables(words, width, units)


@torch.no_grad()
def start_uniform(model: nn.Module, limit: float, generator: torch.Generator | None) -> None:
    """Draw every parameter anew, uniform in (-limit, limit), in the order of their names' definition."""
    for parameter in model.parameters():
        parameter.uniform_(-limit, limit, generator=generator)
