from __future__ import annotations

import pytest
import torch

from tiedlm.paper.theory_model import bias_of, hold_at_norm_1, initial_model
from tiedlm.paper.theory_setting import TheoryConfig

WORDS = 60
CONFIG = TheoryConfig(temperature=10.0, beta=1.0, units=8, init_range=0.6, classifier_range=0.2)


def test_the_classifier_starts_in_a_range_of_its_own():
    model = initial_model(CONFIG, WORDS, 0)
    names = ("layers.0.weight_input", "layers.1.weight_hidden", "layers.0.bias")
    largest = [float(model.get_parameter(name).detach().abs().max()) for name in names]
    assert largest == pytest.approx([CONFIG.init_range] * 3, rel=0.1)
    assert float(model.classifier.detach().abs().max()) == pytest.approx(CONFIG.classifier_range, rel=0.1)


def test_norm_1_by_hand():
    table = torch.tensor([[3.0, 4.0], [0.0, -2.0]])
    hold_at_norm_1(table)
    assert table.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0.0, -1.0]]


def test_there_is_no_bias_yet_and_word_vectors_have_norm_1():
    model = initial_model(CONFIG, WORDS, 0)
    assert not bias_of(model).any()
    assert torch.allclose(model.table.norm(dim=1), torch.ones(WORDS))


def test_every_run_has_weights_of_its_own_and_always_the_same():
    tables = [initial_model(CONFIG, WORDS, run).table for run in (0, 1, 0)]
    assert tables[0].equal(tables[2])
    assert not tables[0].equal(tables[1])
