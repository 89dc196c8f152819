from __future__ import annotations

import pytest
import torch

from support.stub_model import BigramModel, UniformModel
from tiedlm.data.text import Vocabulary
from tiedlm.errors import ArgumentError
from tiedlm.evaluation.next_words import next_words, word_probabilities


def test_probabilities_are_the_softmax_of_the_logits(lstm, vocabulary):
    context = ["the", "cat", "wug"]
    found = next_words(lstm, vocabulary, context, len(vocabulary))
    tokens = torch.tensor([0, *vocabulary.ids(context)])[:, None]
    features, _ = lstm(tokens, lstm.initial_state(1))
    logits = (features[-1, 0].double() @ lstm.classifier.double().T).tolist()
    weights = torch.tensor(logits, dtype=torch.float64).exp()
    expected = dict(zip(vocabulary.words, (weights / weights.sum()).tolist(), strict=True))
    assert {word: pytest.approx(p, rel=1e-5) for word, p in found} == expected
    assert sum(p for _, p in found) == pytest.approx(1, rel=1e-12)
    assert [p for _, p in found] == sorted((p for _, p in found), reverse=True)


def test_the_words_after_a_context_by_hand(vocabulary):
    rows = torch.full((7, 7), 0.05, dtype=torch.float64)
    rows[vocabulary.id_of["cat"], vocabulary.id_of["sees"]] = 0.7
    rows[vocabulary.end_id, vocabulary.id_of["the"]] = 0.7
    model = BigramModel(rows)
    assert next_words(model, vocabulary, ["the", "cat"], 1) == [("sees", pytest.approx(0.7, rel=1e-6))]
    assert next_words(model, vocabulary, [], 1) == [("the", pytest.approx(0.7, rel=1e-6))]


def test_ties_are_in_the_order_of_the_ids():
    vocabulary = Vocabulary.from_counts({f"word{number}": 1 for number in range(998)})
    found = next_words(UniformModel(1000), vocabulary, ["word3"], 1000)
    assert found == [(word, pytest.approx(1 / 1000)) for word in vocabulary.words]


def test_a_longer_list_begins_with_the_shorter_one(lstm, vocabulary):
    assert next_words(lstm, vocabulary, ["a"], 7)[:3] == next_words(lstm, vocabulary, ["a"], 3)
    assert len(next_words(lstm, vocabulary, ["a"], 3)) == 3


@pytest.mark.parametrize("count", [-1, 0, 8])
def test_a_count_out_of_range_is_refused(lstm, vocabulary, count):
    with pytest.raises(ArgumentError, match=f"count is {count}, but must be from 1 to 7"):
        next_words(lstm, vocabulary, [], count)


def test_large_logits_do_not_overflow():
    model = UniformModel(3)
    model.tables.weight.data = torch.tensor([[3e4], [3e4], [-3e4]])
    assert word_probabilities(model, torch.ones(1)).tolist() == [0.5, 0.5, 0.0]
