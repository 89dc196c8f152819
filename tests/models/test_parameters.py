"""Tables as a config asks for them, and a uniform start that a seed decides."""

from __future__ import annotations

import torch

from tiedlm.models.parameters import start_uniform, word_tables
from tiedlm.tying import TiedTable, UntiedTables


def test_tables_are_one_or_two() -> None:
    tied, untied = word_tables(True, 9, 4, 6), word_tables(False, 9, 4, 6)
    assert isinstance(tied, TiedTable)
    assert tied.classifier.shape == (9, 4)
    assert tied.bias is None
    assert word_tables(True, 9, 4, 6, tied_bias=True).bias is not None
    assert isinstance(untied, UntiedTables)
    assert (untied.vectors.shape, untied.classifier.shape) == ((9, 4), (9, 6))


def test_every_parameter_is_drawn_anew_in_its_range() -> None:
    model, twin = (torch.nn.Linear(40, 50) for _ in range(2))
    for each in (model, twin):
        start_uniform(each, 0.3, torch.Generator().manual_seed(1))
    for parameter, same in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(parameter, same)
        assert 0.25 < parameter.detach().abs().max() <= 0.3
        assert parameter.requires_grad
    assert not torch.equal(model.weight[0, :40], model.bias[:40])
