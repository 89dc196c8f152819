"""Contexts, the most probable next words, and generated text."""

import math
from collections import Counter

import pytest
import torch

from support.layers import BigramModel
from tiedlm.errors import ArgumentError, CorpusError
from tiedlm.evaluation.next_words import (
    Sampling,
    as_text,
    context_words,
    generate,
    next_words,
    read_context,
    word_distribution,
)
from tiedlm.evaluation.perplexity import WINDOW_STEPS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" the\tcat \r", ["the", "cat"]),
        ("the cat\nsees", ["the", "cat", "<eos>", "sees"]),
        ("the cat\n", ["the", "cat", "<eos>"]),
        ("no\u00a0break", ["no\u00a0break"]),
    ],
)
def test_a_context_is_read_as_a_text_is(text, words):
    assert context_words(text) == words


@pytest.mark.parametrize("text", ["a \0", "a \udcff"])
def test_a_context_that_is_no_text_is_refused(text):
    with pytest.raises(CorpusError, match="Give plain text"):
        context_words(text)


@pytest.mark.parametrize("length", [0, WINDOW_STEPS, WINDOW_STEPS + 3])
def test_a_context_is_read_after_eos_whatever_its_length(lstm, vocabulary, length):
    words = (["the", "cat", "wug", "<eos>"] * length)[:length]
    features, state = read_context(lstm, vocabulary, words)
    tokens = torch.tensor([vocabulary.end_id, *vocabulary.ids(words)])[:, None]
    expected, expected_state = lstm(tokens, lstm.initial_state(1))
    torch.testing.assert_close(features, expected[-1, 0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(tuple(state), tuple(expected_state), rtol=1e-5, atol=1e-6)


def test_probabilities_are_the_softmax_of_the_logits(lstm, vocabulary):
    context = ["the", "cat", "wug"]
    best = next_words(lstm, vocabulary, context, len(vocabulary))
    tokens = torch.tensor([0, *vocabulary.ids(context)])[:, None]
    features, _ = lstm(tokens, lstm.initial_state(1))
    logits = (features[-1, 0].double() @ lstm.classifier.double().T).tolist()
    weights = torch.tensor(logits, dtype=torch.float64).exp()
    expected = dict(zip(vocabulary.words, (weights / weights.sum()).tolist(), strict=True))
    assert {word: pytest.approx(p, rel=1e-5) for word, p in best} == expected
    assert sum(p for _, p in best) == pytest.approx(1, rel=1e-12)
    assert [p for _, p in best] == sorted((p for _, p in best), reverse=True)


ROW = torch.tensor([0.3, 0.25, 0.2, 0.1, 0.05, 0.04, 0.06], dtype=torch.float64)  # <unk> has 0.06


def drawn(model, vocabulary, words=40, prompt=(), **sampling):
    return list(generate(model, vocabulary, list(prompt), words, Sampling(**sampling)))


def test_the_same_seed_gives_the_same_words_and_another_seed_others(lstm, vocabulary):
    state = torch.get_rng_state()
    first = drawn(lstm, vocabulary, seed=1)
    assert torch.get_rng_state().equal(state)
    with torch.random.fork_rng(devices=[]):
        torch.rand(3)  # the global generator is not read, either
        assert drawn(lstm, vocabulary, seed=1) == first
    assert drawn(lstm, vocabulary, seed=2) != first
    assert drawn(lstm, vocabulary, words=10, seed=1) == first[:10]
    assert len(first) == 40


@pytest.mark.parametrize("temperature", [0.0, 1e-3])
def test_towards_temperature_zero_the_most_probable_word_is_taken(lstm, vocabulary, temperature):
    context = ["the", "cat"]
    for word in drawn(lstm, vocabulary, words=15, prompt=context, temperature=temperature, allow_unknown=True):
        assert word == next_words(lstm, vocabulary, context, 1)[0].word
        context.append(word)


def test_temperature_is_the_power_of_the_probabilities():
    distribution = word_distribution(ROW.log(), Sampling(temperature=0.5))
    assert distribution.tolist() == pytest.approx((ROW**2 / (ROW**2).sum()).tolist(), rel=1e-12)
    assert word_distribution(ROW.log(), Sampling()).tolist() == pytest.approx(ROW.tolist(), rel=1e-12)


def test_top_k_keeps_the_most_probable_words_only():
    distribution = word_distribution(ROW.log(), Sampling(top_k=2))
    assert distribution.tolist() == pytest.approx([0.3 / 0.55, 0.25 / 0.55, 0, 0, 0, 0, 0], rel=1e-12)


def test_words_are_drawn_as_often_as_they_are_probable(vocabulary):
    count = 1000
    counts = Counter(drawn(BigramModel(ROW.expand(7, 7)), vocabulary, words=count, allow_unknown=True))
    for word, probability in zip(vocabulary.words, ROW.tolist(), strict=True):
        spread = math.sqrt(count * probability * (1 - probability))
        assert abs(counts[word] - count * probability) < 5 * spread


def test_an_unknown_word_is_drawn_only_where_it_is_allowed(vocabulary):
    row = torch.tensor([0.04, 0.02, 0.01, 0.01, 0.01, 0.01, 0.9], dtype=torch.float64)
    model = BigramModel(row.expand(7, 7))
    assert "<unk>" not in drawn(model, vocabulary, words=60)
    assert "<unk>" not in drawn(model, vocabulary, words=3, temperature=0)
    assert drawn(model, vocabulary, words=60, allow_unknown=True).count("<unk>") > 40


def test_each_word_is_drawn_after_the_one_before(vocabulary):
    """A model that follows the ids round: 0 1 2 3 4 5 0."""
    rows = torch.full((7, 7), 1e-9, dtype=torch.float64)
    for word in range(7):
        rows[word, (word + 1) % 6] = 1
    model = BigramModel(rows)
    assert drawn(model, vocabulary, words=7) == [*vocabulary.words[1:6], vocabulary.words[0], vocabulary.words[1]]
    assert drawn(model, vocabulary, words=3, prompt=["cat"])[:2] == ["dog", "sees"]
    assert model.calls[-3:] == [0, 2, 3]  # the prompt and <eos> at once, then word by word with the state carried


@pytest.mark.parametrize(("option", "value"), [("top_k", 0), ("seed", -1)])
def test_values_out_of_range_are_refused_at_once(option, value):
    """Others are among golden/errors.txt of the commands."""
    with pytest.raises(ArgumentError, match=f"{option} is {value}"):
        Sampling(**{option: value})


def test_the_end_of_a_line_is_shown_as_one():
    assert as_text(["the", "cat", "<eos>", "<eos>", "a", "dog"]) == "the cat\n\na dog"
    assert as_text([]) == ""
    assert as_text(["foo<eos>", "bar", "<eos>"]) == "foo<eos> bar\n"
