from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from support.stub_model import BigramModel
from tiedlm.errors import ArgumentError
from tiedlm.evaluation.generation import Sampling, as_text, generate, word_distribution
from tiedlm.evaluation.next_words import next_words

ROW = torch.tensor([0.3, 0.25, 0.2, 0.1, 0.05, 0.04, 0.06], dtype=torch.float64)  # <unk> has 0.06


def drawn(model, vocabulary, words=40, prompt=(), **sampling):
    return list(generate(model, vocabulary, list(prompt), words, Sampling(**sampling)))


def test_the_same_seed_gives_the_same_words_and_another_seed_others(lstm, vocabulary):
    first = drawn(lstm, vocabulary, seed=1)
    assert drawn(lstm, vocabulary, seed=1) == first
    assert drawn(lstm, vocabulary, seed=2) != first
    assert drawn(lstm, vocabulary, words=10, seed=1) == first[:10]
    assert len(first) == 40


def test_the_global_random_state_is_neither_read_nor_changed(lstm, vocabulary):
    before = torch.get_rng_state()
    first = drawn(lstm, vocabulary, seed=1)
    assert torch.get_rng_state().equal(before)
    torch.rand(3)
    assert drawn(lstm, vocabulary, seed=1) == first
    torch.set_rng_state(before)


@pytest.mark.parametrize("temperature", [0.0, 1e-3])
def test_towards_temperature_zero_the_most_probable_word_is_taken(lstm, vocabulary, temperature):
    context = ["the", "cat"]
    for word in drawn(lstm, vocabulary, words=15, prompt=context, temperature=temperature, allow_unknown=True):
        assert word == next_words(lstm, vocabulary, context, 1)[0].word
        context.append(word)


def test_towards_a_high_temperature_all_words_are_alike():
    assert word_distribution(ROW.log(), Sampling(temperature=1e6)).tolist() == pytest.approx([1 / 7] * 7, rel=1e-5)


def test_temperature_is_the_power_of_the_probabilities():
    found = word_distribution(ROW.log(), Sampling(temperature=0.5))
    assert found.tolist() == pytest.approx((ROW**2 / (ROW**2).sum()).tolist(), rel=1e-12)
    assert word_distribution(ROW.log(), Sampling()).tolist() == pytest.approx(ROW.tolist(), rel=1e-12)


def test_top_k_keeps_the_most_probable_words_only():
    found = word_distribution(ROW.log(), Sampling(top_k=2))
    assert found.tolist() == pytest.approx([0.3 / 0.55, 0.25 / 0.55, 0, 0, 0, 0, 0], rel=1e-12)


def test_words_are_drawn_as_often_as_they_are_probable(vocabulary):
    count = 4000
    found = Counter(drawn(BigramModel(ROW.expand(7, 7)), vocabulary, words=count, allow_unknown=True))
    for word, probability in zip(vocabulary.words, ROW.tolist(), strict=True):
        spread = math.sqrt(count * probability * (1 - probability))
        assert abs(found[word] - count * probability) < 5 * spread


def test_an_unknown_word_is_drawn_only_where_it_is_allowed(vocabulary):
    row = torch.tensor([0.04, 0.02, 0.01, 0.01, 0.01, 0.01, 0.9], dtype=torch.float64)
    model = BigramModel(row.expand(7, 7))
    assert "<unk>" not in drawn(model, vocabulary, words=300)
    assert "<unk>" not in drawn(model, vocabulary, words=3, temperature=0)
    assert drawn(model, vocabulary, words=300, allow_unknown=True).count("<unk>") > 200


def test_each_word_is_drawn_after_the_one_before(vocabulary):
    """A model that follows the ids round: 0 1 2 3 4 5 0."""
    rows = torch.full((7, 7), 1e-9, dtype=torch.float64)
    for word in range(7):
        rows[word, (word + 1) % 6] = 1
    model = BigramModel(rows)
    assert drawn(model, vocabulary, words=7) == [*vocabulary.words[1:6], vocabulary.words[0], vocabulary.words[1]]
    assert drawn(model, vocabulary, words=2, prompt=["cat"]) == ["dog", "sees"]
    assert model.calls[-3:] == [0, 2, 3]  # the prompt and <eos> at once, then word by word with the state carried


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": 5e-324}, "temperature is 5e-324"),
        ({"temperature": 1e300}, "temperature is 1e"),
        ({"top_k": 0}, "top_k is 0"),
        ({"temperature": 0.0, "top_k": 3}, "top_k has no effect at temperature 0"),
        ({"seed": -1}, "seed is -1"),
        ({"top_k": 8}, "top_k is 8, but must be at most 7"),
        ({"words": 0}, "words is 0"),
    ],
)
def test_values_out_of_range_are_refused_at_once(lstm, vocabulary, options, told):
    words = options.pop("words", 5)
    with pytest.raises(ArgumentError, match=told):
        generate(lstm, vocabulary, [], words, Sampling(**options))


def test_the_end_of_a_line_is_shown_as_one():
    assert as_text(["the", "cat", "<eos>", "<eos>", "a", "dog"]) == "the cat\n\na dog"
    assert as_text([]) == ""
    assert as_text(["foo<eos>", "bar", "<eos>"]) == "foo<eos> bar\n"
