import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from tiedlm.evaluation.ngram import NGram

WORDS, EOS, UNK = 6, 0, 5
TEXT = np.random.default_rng(3).choice(WORDS - 1, size=60, p=[0.2, 0.4, 0.2, 0.15, 0.05])  # word 5 never comes
OTHER = np.random.default_rng(4).integers(0, WORDS, 25)


def oracle(text, order):
    """The same definition in loops and dictionaries: a function of (context, word)."""
    padded = [EOS] * (order - 1) + list(map(int, text))
    grams = [tuple(padded[place : place + order]) for place in range(len(text))]
    levels = []
    for _ in range(order):
        counts = Counter(grams)
        once = sum(count == 1 for count in counts.values())
        twice = sum(count == 2 for count in counts.values())
        after = defaultdict(dict)
        for gram, count in counts.items():
            after[gram[:-1]][gram[-1]] = count
        levels.append((after, once / (once + 2 * twice) if once else 0.5))
        grams = [gram[1:] for gram in counts]

    def probability(context, word, level=0):
        if level == order:
            return 1 / WORDS
        after, discount = levels[level]
        lower = probability(context[1:], word, level + 1)
        if context not in after:
            return lower
        counts = after[context]
        total = sum(counts.values())
        return (max(counts.get(word, 0) - discount, 0) + discount * len(counts) * lower) / total

    return probability


@pytest.mark.parametrize("order", [1, 2, 4])
def test_equal_to_the_definition_in_loops(order):
    model, truth = NGram(TEXT, WORDS, order=order, end_id=EOS), oracle(TEXT, order)
    draw = np.random.default_rng(5)
    contexts, following = draw.integers(0, WORDS, (200, order - 1)), draw.integers(0, WORDS, 200)
    expected = [truth(tuple(map(int, c)), int(w)) for c, w in zip(contexts, following, strict=True)]
    assert model.probabilities(contexts, following).tolist() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("at_once", [7, 100])
def test_the_score_is_the_sum_over_every_word_after_two_ends(at_once, monkeypatch):
    monkeypatch.setattr("tiedlm.evaluation.ngram.SCORED_AT_ONCE", at_once)
    model, truth = NGram(TEXT, WORDS, order=3, end_id=EOS), oracle(TEXT, 3)
    padded = [EOS, EOS, *map(int, OTHER)]
    nll = [-math.log(truth(tuple(padded[i : i + 2]), padded[i + 2])) for i in range(len(OTHER))]
    score = model.score(OTHER, unknown_id=UNK)
    assert score.words == len(OTHER)
    assert score.unknown == int((OTHER == UNK).sum()) > 0
    assert score.nll_nats == pytest.approx(sum(nll), rel=1e-12)
