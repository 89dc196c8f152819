"""The corpus `synthetic`: text of an invented language whose entropy is known, to hold a model against the truth.

A line tells its topic by its first word; the topic then colours every later word of the line. The other words fall into
classes (all words of a class begin with the same letter), and the next class depends on the topic and on the class of
the previous word, the next word on the topic and on its class:

    P(word | topic, previous class) = P(class of word | topic, previous class) P(word | topic, class of word)

So a state of the source (`known_source`) is the topic with the class of the previous word; to reach the true perplexity
a model has to remember the first word of a line to its end. All tables are drawn by a fixed seed out of small whole
numbers, and text by comparing random numbers with sums of their ratios: nothing depends on a machine's mathematics.
"""

from __future__ import annotations

import hashlib
import math
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tiedlm import files
from tiedlm.corpora.encode import SPLITS
from tiedlm.corpora.known_source import START, Array, KnownSource
from tiedlm.corpora.text import END

RULE_VERSION = 1
"""Goes up with every change of the rules that changes the text."""

SEED = 20170720
"""One with which entropies that weigh the states wrongly are far off, and every word is frequent."""

TOPIC_LETTERS, CLASS_LETTERS = "prst", "bdfgklmn"
TOPIC_WORDS, CLASS_WORDS = 2, 10
SYLLABLES = ("a", "e", "i", "o", "u", "al", "el", "il", "ol", "ul")
END_PROBABILITY = 0.08
"""Of `<eos>` after every word of a line."""
SHARPNESS = 5
"""Power of the drawn numbers 1 to 10: the higher, the less even the choice of classes and words."""
LEAST_WORDS = {"train": 300_000, "valid": 30_000, "test": 30_000}
"""Words of each split, `<eos>` counted; the last line is finished."""


def build(folder: Path) -> dict[str, Any]:
    """Write `train.txt`, `valid.txt` and `test.txt` into `folder` and return the truth about them.

    Args:
        folder: an existing folder.

    Returns:
        `{"rule_version", "seed", "entropy_rate_nats", "perplexity", "splits": {split: {"lines", "words", "sha256",
        "nll_nats", "perplexity", "sampling_error_nats"}}}`. `words` counts `<eos>`; a split's `nll_nats` is the mean
        over its words under the source itself, which no model can be expected to beat on that text, and its sampling
        error is how far this mean lies from the entropy rate by chance (one standard error).
    """
    entropy = source().entropy_rate_nats
    return {
        "rule_version": RULE_VERSION,
        "seed": SEED,
        "entropy_rate_nats": entropy,
        "perplexity": math.exp(entropy),
        "splits": {split: _write(folder / f"{split}.txt", text(split)) for split in SPLITS},
    }


def text(split: str) -> list[str]:
    """Return the words of a split, `<eos>` at the end of each line; each split is drawn on its own."""
    return source().draw(LEAST_WORDS[split], np.random.default_rng([SEED, 1 + SPLITS.index(split)]))


@cache
def source() -> KnownSource:
    """Return the source of the text."""
    generator = np.random.default_rng([SEED, 0])
    topics, classes = len(TOPIC_LETTERS), len(CLASS_LETTERS)
    words = (END, *_spelled(TOPIC_LETTERS, TOPIC_WORDS), *_spelled(CLASS_LETTERS, CLASS_WORDS))
    first_words = slice(1, 1 + topics * TOPIC_WORDS)
    # the previous class of the second word of a line is none of the classes: one row more
    class_given = _distributions(generator, topics, classes + 1, classes)
    word_given = _distributions(generator, topics, classes, CLASS_WORDS)
    # [topic, previous class, class, word in its class]
    later = (1 - END_PROBABILITY) * class_given[:, :, :, None] * word_given[:, None, :, :]

    probabilities = np.zeros((1 + topics * (classes + 1), len(words)))
    probabilities[START, first_words] = 1 / (topics * TOPIC_WORDS)
    probabilities[1:, words.index(END)] = END_PROBABILITY
    probabilities[1:, first_words.stop :] = later.reshape(topics * (classes + 1), -1)
    return KnownSource(words, probabilities, _next_states(topics, classes, len(words)))


def _next_states(topics: int, classes: int, words: int) -> Array:
    """The state after each word [S, V]: `1 + topic (classes + 1) + class`, and START after `<eos>`."""
    first, states = 1 + topics * TOPIC_WORDS, 1 + topics * (classes + 1)
    table = np.full((states, words), START)
    table[START, 1:first] = [1 + topic * (classes + 1) + classes for topic in range(topics) for _ in range(TOPIC_WORDS)]
    for state in range(1, states):
        topic = (state - 1) // (classes + 1)
        table[state, first:] = 1 + topic * (classes + 1) + np.repeat(np.arange(classes), CLASS_WORDS)
    return table


def _spelled(letters: str, count: int) -> list[str]:
    return [letter + syllable for letter in letters for syllable in SYLLABLES[:count]]


def _distributions(generator: np.random.Generator, *shape: int) -> Array:
    """Random distributions over the last axis."""
    weights = np.floor(1 + 10 * generator.random(shape)) ** SHARPNESS
    return weights / weights.sum(axis=-1, keepdims=True)


def _write(path: Path, words: list[str]) -> dict[str, Any]:
    lines = " ".join(words).split(f" {END}")[:-1]
    content = "".join(f"{line.strip()}\n" for line in lines).encode()
    files.write_bytes(path, content)
    nll = float(source().nll_nats(words).mean())
    return {
        "lines": len(lines),
        "words": len(words),
        "sha256": hashlib.sha256(content).hexdigest(),
        "nll_nats": nll,
        "perplexity": math.exp(nll),
        "sampling_error_nats": source().sampling_error_nats(words),
    }
