from __future__ import annotations

import pytest
import torch

from tiedlm.errors import CorpusError
from tiedlm.evaluation.context import context_words, read_context, unknown_words
from tiedlm.evaluation.predictions import WINDOW_STEPS


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


def test_unknown_words_are_named_once_in_order(vocabulary):
    assert unknown_words(vocabulary, ["wug", "the", "blick", "wug", "<unk>"]) == ["wug", "blick"]


@pytest.mark.parametrize("length", [0, 1, WINDOW_STEPS - 1, WINDOW_STEPS, WINDOW_STEPS + 3])
def test_a_context_is_read_after_eos_whatever_its_length(lstm, vocabulary, length):
    words = (["the", "cat", "wug", "<eos>"] * length)[:length]
    features, state = read_context(lstm, vocabulary, words)
    tokens = torch.tensor([vocabulary.end_id, *vocabulary.ids(words)])[:, None]
    expected, expected_state = lstm(tokens, lstm.initial_state(1))
    torch.testing.assert_close(features, expected[-1, 0], rtol=1e-5, atol=1e-6)
    for found, truth in zip(state, expected_state, strict=True):
        torch.testing.assert_close(found, truth, rtol=1e-5, atol=1e-6)
