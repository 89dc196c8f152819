"""Interpolated Kneser-Ney n-grams: what counting alone can do, as a floor under the networks.

With c(u w) the count of word w after the n-1 words u (Kneser & Ney 1995; interpolated as in Chen & Goodman 1999):

    p_n(w | u) = max(c(u w) - D_n, 0) / c(u .)  +  D_n N(u .) / c(u .)  p_{n-1}(w | u without its first word)
    p_0(w) = 1 / V

N(u .) is the number of distinct words after u. The highest order counts occurrences; every lower order counts the
distinct words before (u w). The discount of an order is D = n1 / (n1 + 2 n2), with n1 and n2 the n-grams counted once
and twice; where nothing was counted once, 1/2. A context that was never seen leaves p_{n-1} as it is.
"""

from __future__ import annotations

from typing import Any, final

import numpy as np
import torch

from tiedlm.evaluation.perplexity import Score, ScoreSum

Ids = np.ndarray[Any, Any]

SCORED_AT_ONCE = 1 << 16


@final
class NGram:
    """N-grams of a training text, with exact counts.

    Args:
        ids: word ids of the training text in order, `<eos>` at the end of every line [words].
        words: V, the number of words in the vocabulary.
        order: n; 1 counts words, 3 looks at the two words before. V to the power n must be below 2^63.
        end_id: the id of `<eos>`, which stands before the text n-1 times; the words before a line are its context, too.
    """

    def __init__(self, ids: Ids, words: int, *, order: int = 3, end_id: int) -> None:
        self.words, self.order, self._end_id = words, order, end_id
        self._levels: list[_Level] = []
        # each n-gram as one number, its last word as the last digit to the base V
        keys = self._grams(ids) @ words ** np.arange(order)[::-1]
        for lower in reversed(range(order)):
            self._levels.insert(0, _Level(keys, words))
            keys = self._levels[0].keys % words**lower  # each once: distinct words before are counted from here on

    def probabilities(self, contexts: Ids, following: Ids) -> Ids:
        """Return p(word | context) in float64 [N], for contexts [N, order - 1] and words [N]."""
        context, scale = np.zeros(len(following), dtype=np.int64), 1
        probabilities = np.full(len(following), 1 / self.words)
        for number, level in enumerate(self._levels):
            if number:
                context = context + scale * contexts[:, -number].astype(np.int64)
                scale *= self.words
            probabilities = level.interpolated(context, following, probabilities)
        return probabilities

    def score(self, ids: Ids, *, unknown_id: int) -> Score:
        """Return the score of a text under the protocol of the networks: every word once, the first after `<eos>`."""
        grams, total = self._grams(ids), ScoreSum(unknown_id)
        for start in range(0, len(ids), SCORED_AT_ONCE):
            part = grams[start : start + SCORED_AT_ONCE]
            nll = -np.log(self.probabilities(part[:, :-1], part[:, -1]))
            total.add(torch.from_numpy(part[:, -1].copy()), torch.from_numpy(nll))
        return total.score()

    def _grams(self, ids: Ids) -> Ids:
        """Return the n-gram that ends at each word of a text, int64 [words, order]."""
        padded = np.concatenate([np.full(self.order - 1, self._end_id), ids]).astype(np.int64)
        return np.lib.stride_tricks.sliding_window_view(padded, self.order)


@final
class _Level:
    """The counts of one order."""

    def __init__(self, keys: Ids, words: int) -> None:
        self._words = words
        self.keys, counts = np.unique(keys, return_counts=True)
        once, twice = int((counts == 1).sum()), int((counts == 2).sum())
        discount = once / (once + 2 * twice) if once else 0.5
        self._discounted = counts - discount
        self._contexts, place, distinct = np.unique(self.keys // words, return_inverse=True, return_counts=True)
        self._totals = np.bincount(place, counts)
        self._backoff = discount * distinct / self._totals

    def interpolated(self, contexts: Ids, following: Ids, lower: Ids) -> Ids:
        """Return p_n [N] from p_{n-1} [N]."""
        place, seen = _lookup(self._contexts, contexts)
        gram, counted = _lookup(self.keys, contexts * self._words + following)
        discounted = np.where(counted, self._discounted[gram], 0) / self._totals[place]
        return np.where(seen, discounted + self._backoff[place] * lower, lower)


def _lookup(sorted_keys: Ids, keys: Ids) -> tuple[Ids, Ids]:
    """Return a place for each key, and whether the key is there."""
    place = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    return place, sorted_keys[place] == keys
