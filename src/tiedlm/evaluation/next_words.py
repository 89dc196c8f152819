"""A context → the most probable next words (as in the paper's Table 4), or text that a model generates.

    w_t ~ softmax(logits / temperature), restricted to the `top_k` most probable words; temperature 0 takes the best

Unless `<unk>` is allowed, it is left out and the others share its probability.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from tiedlm.data.text import END, Vocabulary
from tiedlm.errors import ArgumentError, CorpusError
from tiedlm.evaluation.perplexity import WINDOW_STEPS
from tiedlm.nn.model import LanguageModel, State
from tiedlm.seeding import generator


def context_words(text: str) -> list[str]:
    """Return the words of a context, read as a text file is: blanks separate words, a line feed is `<eos>`.

    Raises:
        CorpusError: a NUL, or what was no UTF-8 where it came from.
    """
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise CorpusError(f"The context {text!r} is not UTF-8. Give plain text in UTF-8.") from error
    if b"\0" in encoded:
        raise CorpusError(f"The context {text!r} has a NUL character. Give plain text.")
    return [word.decode() for word in encoded.replace(b"\n", f" {END} ".encode()).split()]


def unknown_words(vocabulary: Vocabulary, words: Sequence[str]) -> list[str]:
    """Return the distinct words that the vocabulary lacks, in order; a model reads them as `<unk>`."""
    return [word for word in dict.fromkeys(words) if word not in vocabulary.id_of]


@torch.inference_mode()
def read_context(model: LanguageModel, vocabulary: Vocabulary, words: Sequence[str]) -> tuple[Tensor, State]:
    """Return the features after `<eos>` and `words` [D], and the state; in memory that does not grow with the words."""
    ids = [vocabulary.end_id, *vocabulary.ids(words)]
    state = model.initial_state(1)
    features = torch.empty(0)
    for first in range(0, len(ids), WINDOW_STEPS):
        tokens = torch.tensor(ids[first : first + WINDOW_STEPS], device=model.classifier.device)
        features, state = model(tokens[:, None], state)
    return features[-1, 0], state


class NextWord(NamedTuple):
    """A word, perhaps `<unk>` or `<eos>`, and p(word | `<eos>`, context)."""

    word: str
    probability: float


def next_words(
    model: LanguageModel, vocabulary: Vocabulary, context: Sequence[str], count: int | None = None
) -> list[NextWord]:
    """Return the `count` most probable next words, most probable first, ties by id.

    Args:
        model: in evaluation mode.
        vocabulary: the model's.
        context: the words before, perhaps none, read after `<eos>`; one outside the vocabulary is read as `<unk>`.
        count: from 1 to V; None gives 10, or all words of a smaller vocabulary.

    Raises:
        ArgumentError: `count` out of range.
    """
    count = min(10, len(vocabulary)) if count is None else count
    if not 1 <= count <= len(vocabulary):
        raise ArgumentError(f"count is {count}, but must be from 1 to {len(vocabulary):,}, the number of words.")
    features, _ = read_context(model, vocabulary, context)
    with torch.inference_mode():
        probabilities = model.logits(features).double().cpu().softmax(-1)
    best = probabilities.sort(descending=True, stable=True)
    pairs = zip(best.indices[:count].tolist(), best.values[:count].tolist(), strict=True)
    return [NextWord(vocabulary.words[number], probability) for number, probability in pairs]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How words are drawn."""

    temperature: float = 1.0
    """Divides the logits, 0 or in [1e-3, 1e6]: 1 draws from the model's distribution, 0 takes the best word."""
    top_k: int | None = None
    """Draw among so many most probable words only; None draws among all."""
    seed: int | None = None
    """Seed of the draws; None is 0."""
    allow_unknown: bool = False

    def __post_init__(self) -> None:
        if not (self.temperature == 0 or 1e-3 <= self.temperature <= 1e6):
            raise ArgumentError(f"temperature is {self.temperature}, but must be 0 or lie in [1e-3, 1e6].")
        if self.top_k is not None and self.top_k < 1:
            raise ArgumentError(f"top_k is {self.top_k}, but must be 1 or more.")
        if self.temperature == 0 and self.top_k is not None:
            raise ArgumentError("top_k has no effect at temperature 0, which takes the most probable word.")
        if self.temperature == 0 and self.seed is not None:
            raise ArgumentError(
                "seed has no effect at temperature 0, which takes the most probable word. Leave it out, or give a "
                "temperature above 0."
            )
        if self.seed is not None and self.seed < 0:
            raise ArgumentError(f"seed is {self.seed}, but must be 0 or more.")


@torch.inference_mode()
def generate(
    model: LanguageModel, vocabulary: Vocabulary, prompt: Sequence[str], words: int, sampling: Sampling
) -> list[str]:
    """Return `words` words that follow `<eos>` and the prompt, `<eos>` among them where a line ends.

    Args:
        model: in evaluation mode.
        vocabulary: the model's.
        prompt: the words before, perhaps none; one outside the vocabulary is read as `<unk>`.
        words: how many to draw, 1 or more, `<eos>` counted.
        sampling: how to draw them.

    Raises:
        ArgumentError: `words` below 1, or `top_k` above the number of words.
    """
    if words < 1:
        raise ArgumentError(f"words is {words}, but must be 1 or more.")
    if sampling.top_k is not None and sampling.top_k > len(vocabulary):
        raise ArgumentError(f"top_k is {sampling.top_k}, but must be at most {len(vocabulary):,}, the number of words.")
    draws, ids = generator(sampling.seed or 0, "generated words"), []
    features, state = read_context(model, vocabulary, prompt)
    for _ in range(words):
        if ids:
            outputs, state = model(torch.tensor([ids[-1:]], device=features.device), state)
            features = outputs[-1, 0]
        logits = model.logits(features).double().cpu()
        if not sampling.allow_unknown:
            logits[vocabulary.unknown_id] = -math.inf
        if sampling.temperature == 0:
            ids.append(int(logits.argmax()))
        else:
            ids.append(int(torch.multinomial(word_distribution(logits, sampling), 1, generator=draws)))
    return [vocabulary.words[word] for word in ids]


def word_distribution(logits: Tensor, sampling: Sampling) -> Tensor:
    """Return the probabilities [V] that words are drawn with, for logits [V] in float64 and a temperature above 0."""
    # relative to the largest, so that the smallest temperature leaves it 0 and sends the others to minus infinity
    logits = (logits - logits.max()) / sampling.temperature
    if sampling.top_k is not None:
        best = logits.topk(sampling.top_k)
        logits = torch.full_like(logits, -math.inf).scatter(0, best.indices, best.values)
    return logits.softmax(0)


def as_text(words: Sequence[str]) -> str:
    """Return words as text: separated by blanks, `<eos>` as a line's end."""
    return " ".join("\n" if word == END else word for word in words).replace(" \n", "\n").replace("\n ", "\n")
