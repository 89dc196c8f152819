"""The most probable next words after a context, as in the paper's Table 4."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tiedlm.data.text import Vocabulary
from tiedlm.errors import ArgumentError
from tiedlm.evaluation.context import read_context
from tiedlm.nn.model import LanguageModel


class NextWord(NamedTuple):
    """A word and how probable it is as the next one."""

    word: str
    """The word, perhaps `<unk>` or `<eos>`."""
    probability: float
    """p(word | `<eos>`, context), in [0, 1]."""


def next_words(model: LanguageModel, vocabulary: Vocabulary, context: Sequence[str], count: int = 10) -> list[NextWord]:
    """Return the `count` most probable next words, most probable first, ties by id.

    Args:
        model: in evaluation mode; nothing is dropped.
        vocabulary: the model's.
        context: the words before, read after `<eos>`; a word outside the vocabulary is read as `<unk>`
            (`context.unknown_words` names them). May be empty.
        count: from 1 to V.

    Raises:
        ArgumentError: `count` out of range.
    """
    if not 1 <= count <= len(vocabulary):
        raise ArgumentError(f"count is {count}, but must be from 1 to {len(vocabulary):,}, the number of words.")
    features, _ = read_context(model, vocabulary, context)
    best = word_probabilities(model, features).sort(descending=True, stable=True)
    pairs = zip(best.indices[:count].tolist(), best.values[:count].tolist(), strict=True)
    return [NextWord(vocabulary.words[number], probability) for number, probability in pairs]


@torch.inference_mode()
def word_probabilities(model: LanguageModel, features: Tensor) -> Tensor:
    """Return softmax(logits) [V] of features [D]: float32 logits, exponentials and their sum in float64, on the CPU."""
    return model.logits(features).double().cpu().softmax(-1)
