"""The corpus `synthetic`: text of an invented language whose entropy is known, to compare a model with the truth.

The first word of a line sets its topic. The other words fall into classes (all words of a class begin with the same
letter); the next class depends on the topic and on the class of the previous word, the next word on the topic and on
its class:

    P(word | topic, previous class) = P(class of word | topic, previous class) P(word | topic, class of word)

To reach the true perplexity a model has to remember the first word of a line to its end. The tables are drawn from
small whole numbers and the text by comparing random numbers with sums of their ratios, so nothing depends on a
machine's mathematics.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, final

import numpy as np

from tiedlm import files
from tiedlm.data.sources import SPLITS
from tiedlm.data.text import END

Array = np.ndarray[Any, Any]

RULE_VERSION = 1
"""Goes up with every change of the rules that changes the text."""
SEED = 20170720
"""Chosen so that every word is frequent and entropies that weigh the states wrongly are far off."""
START = 0
"""The state at the start of every line."""
TOPIC_LETTERS, CLASS_LETTERS = "prst", "bdfgklmn"
TOPIC_WORDS, CLASS_WORDS = 2, 10
SYLLABLES = ("a", "e", "i", "o", "u", "al", "el", "il", "ol", "ul")
END_PROBABILITY = 0.08
"""Of `<eos>` after every word of a line."""
SHARPNESS = 5
"""Power of the drawn numbers 1 to 10: the higher, the less even the choice of classes and words."""
MIN_WORDS = {"train": 300_000, "valid": 30_000, "test": 30_000}
"""Words of each split, `<eos>` counted; the last line is finished."""


@final
@dataclass(frozen=True, eq=False)
class KnownSource:
    """A source of text with S states: in state s it says word w with probability P[s, w], and s and w fix the next.

    `<eos>` leads back to state 0, in which every line starts. So the line so far gives the state, and P[s] is the exact
    probability of every next word given the whole past.
    """

    words: tuple[str, ...]
    """Every word that the source says, `<eos>` among them [V]."""
    probabilities: Array
    """P [S, V], float64."""
    next_states: Array
    """The state after each word in each state [S, V]; without meaning where the probability is 0."""

    @cached_property
    def stationary(self) -> Array:
        """The share of words said in each state [S]: pi = pi T, sum(pi) = 1, with T [S, S] the steps of one word."""
        states = len(self.probabilities)
        transitions = np.zeros((states, states))
        np.add.at(transitions, (np.arange(states)[:, None], self.next_states), self.probabilities)
        balance = transitions.T - np.eye(states)
        balance[-1] = 1.0  # one equation of pi = pi T follows from the others; the sum takes its place
        return np.linalg.solve(balance, np.eye(states)[-1])

    @cached_property
    def entropy_rate_nats(self) -> float:
        """The exact entropy a word, `<eos>` counted as one, in nats: - sum_s pi[s] sum_w P[s, w] ln P[s, w]."""
        logs = np.log(self.probabilities, where=self.probabilities > 0, out=np.zeros_like(self.probabilities))
        return float(-self.stationary @ (self.probabilities * logs).sum(axis=1))

    def nll_nats(self, words: list[str]) -> Array:
        """Return -ln P of each word of a text given all before it [N], in nats; infinity for one never said there."""
        columns = {word: column for column, word in enumerate(self.words)}
        places, states = [columns[word] for word in words], [START]
        for column in places:
            states.append(int(self.next_states[states[-1], column]))
        with np.errstate(divide="ignore"):
            return -np.log(self.probabilities[states[:-1], places])

    def sampling_error_nats(self, words: list[str]) -> float:
        """Return the standard error of the mean of `nll_nats(words)` as an estimate of the entropy rate, in nats.

        Lines are independent draws, since every one starts in state 0. So with Y the nats and n the words of a line and
        H the entropy rate, the sum over lines of (Y - H n) has mean 0 and a variance that the sum of their squares
        estimates (the ratio estimator of regenerative simulation; Crane & Lemoine 1977). `words` are whole lines.
        """
        excess = self.nll_nats(words) - self.entropy_rate_nats
        ends = np.flatnonzero(np.array(words) == END)
        by_line = np.add.reduceat(excess, np.append(0, ends[:-1] + 1))
        return float(np.sqrt(np.square(by_line).sum()) / len(words))

    def draw(self, min_words: int, generator: np.random.Generator) -> list[str]:
        """Return a text of whole lines, `<eos>` at the end of each, with `min_words` words or a few more."""
        sums = [list(accumulate(row)) for row in self.probabilities.tolist()]
        text: list[str] = []
        state = START
        while len(text) < min_words or state != START:
            # scaled by the row's own sum, which differs from 1 by rounding: no draw falls behind the last word
            column = bisect(sums[state], generator.random() * sums[state][-1])
            text.append(self.words[column])
            state = int(self.next_states[state, column])
        return text


@cache
def source() -> KnownSource:
    generator = np.random.default_rng([SEED, 0])

    def distributions(*shape: int) -> Array:
        weights = np.floor(1 + 10 * generator.random(shape)) ** SHARPNESS
        return weights / weights.sum(axis=-1, keepdims=True)

    topics, classes = len(TOPIC_LETTERS), len(CLASS_LETTERS)
    words = [END]
    for letters, count in ((TOPIC_LETTERS, TOPIC_WORDS), (CLASS_LETTERS, CLASS_WORDS)):
        words += [letter + syllable for letter in letters for syllable in SYLLABLES[:count]]
    first, states = 1 + topics * TOPIC_WORDS, 1 + topics * (classes + 1)
    # the previous class of the second word of a line is none of the classes: one row more
    next_class = distributions(topics, classes + 1, classes)
    word_of_class = distributions(topics, classes, CLASS_WORDS)
    # [topic, previous class, class, word in its class]
    later = (1 - END_PROBABILITY) * next_class[:, :, :, None] * word_of_class[:, None, :, :]

    probabilities = np.zeros((states, len(words)))
    probabilities[START, 1:first] = 1 / (topics * TOPIC_WORDS)
    probabilities[1:, words.index(END)] = END_PROBABILITY
    probabilities[1:, first:] = later.reshape(topics * (classes + 1), -1)

    # the state after each word: 1 + topic (classes + 1) + class, and START after `<eos>`
    next_states = np.full((states, len(words)), START)
    next_states[START, 1:first] = 1 + np.repeat(np.arange(topics), TOPIC_WORDS) * (classes + 1) + classes
    for state in range(1, states):
        topic = (state - 1) // (classes + 1)
        next_states[state, first:] = 1 + topic * (classes + 1) + np.repeat(np.arange(classes), CLASS_WORDS)
    return KnownSource(tuple(words), probabilities, next_states)


def build(folder: Path) -> dict[str, Any]:
    """Write `train.txt`, `valid.txt` and `test.txt` into `folder` and return the truth about them.

    Returns:
        `{"rule_version", "seed", "entropy_rate_nats", "perplexity", "splits": {split: {"lines", "words", "sha256",
        "nll_nats", "perplexity", "sampling_error_nats"}}}`. `words` counts `<eos>`; a split's `nll_nats` is the mean
        over its words under the source itself.
    """
    entropy = source().entropy_rate_nats
    splits = {}
    for number, split in enumerate(SPLITS, 1):
        words = source().draw(MIN_WORDS[split], np.random.default_rng([SEED, number]))
        lines = " ".join(words).split(f" {END}")[:-1]
        content = "".join(f"{line.strip()}\n" for line in lines).encode()
        files.write_bytes(folder / f"{split}.txt", content)
        nll = float(source().nll_nats(words).mean())
        splits[split] = {
            "lines": len(lines),
            "words": len(words),
            "sha256": hashlib.sha256(content).hexdigest(),
            "nll_nats": nll,
            "perplexity": math.exp(nll),
            "sampling_error_nats": source().sampling_error_nats(words),
        }
    return {
        "rule_version": RULE_VERSION,
        "seed": SEED,
        "entropy_rate_nats": entropy,
        "perplexity": math.exp(entropy),
        "splits": splits,
    }
