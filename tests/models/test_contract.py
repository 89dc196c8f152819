"""What every model owes to training and evaluation, and what it gets for it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tiedlm.models.build import build_model
from tiedlm.models.config import LSTMConfig
from tiedlm.models.contract import LanguageModel, Masks, State
from tiedlm.tying import TiedTable, UntiedTables


class Echo(LanguageModel):
    """The least that is a model: its features are the word vectors, its state counts the words seen."""

    def __init__(self, *, tied: bool) -> None:
        super().__init__()
        self.tables = TiedTable(7, 4) if tied else UntiedTables(7, 4, 4)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1, 1, generator=generator)

    def initial_state(self, streams: int) -> State:
        return (torch.zeros(1, streams),)

    def draw_masks(self, streams: int, generator: torch.Generator) -> Masks | None:
        return None

    def forward(self, tokens: Tensor, state: State, masks: Masks | None = None) -> tuple[Tensor, State]:
        return self.tables.embed(tokens), (state[0] + len(tokens),)


def test_what_a_model_has_to_write_itself() -> None:
    assert LanguageModel.__abstractmethods__ == {"reset_parameters", "initial_state", "draw_masks", "forward"}
    model = build_model(LSTMConfig(units=3), 7)
    assert isinstance(model, LanguageModel)
    assert not type(model).__abstractmethods__


def test_what_a_tied_model_is_given() -> None:
    model = Echo(tied=True)
    assert model.table is model.classifier is model.tables.weight
    assert model.bias is None
    assert model.parameter_count() == 7 * 4
    features, (seen,) = model(torch.tensor([[1, 2], [3, 4]]), model.initial_state(2))
    assert torch.allclose(model.logits(features), features @ model.classifier.T)
    assert (seen == 2).all()


def test_what_an_untied_model_is_given() -> None:
    model = Echo(tied=False)
    assert model.table is model.tables.vectors
    assert model.table is not model.classifier
    assert model.bias is not None
    assert model.parameter_count() == 2 * 7 * 4 + 7
    with torch.no_grad():
        model.bias.copy_(torch.arange(7))
    features, _ = model(torch.tensor([[1, 2], [3, 4]]), model.initial_state(2))
    assert torch.allclose(model.logits(features), features @ model.classifier.T + torch.arange(7))
