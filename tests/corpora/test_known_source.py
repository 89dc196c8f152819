"""The source against loops written from the definition: all lines enumerated, all paths of states summed."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.compare import assert_close, error
from tiedlm.corpora.known_source import KnownSource
from tiedlm.errors import ArgumentError

WORDS = ("<eos>", "a", "b")
# state 0 starts a line; 1 and 2 remember how it began; most lines are short, so that all of them can be enumerated
SHORT = KnownSource(
    WORDS,
    np.array([[0.0, 0.7, 0.3], [0.9, 0.02, 0.08], [0.8, 0.2, 0.0]]),
    np.array([[0, 1, 2], [0, 1, 2], [0, 2, 0]]),
)
# two kinds of long lines, one all noise and one all sure: words of a line depend strongly on each other
TWO_KINDS = KnownSource(
    (*WORDS, "c", "d"),
    np.array([[0.0, 0.5, 0.5, 0.0, 0.0], [0.05, 0.05, 0.3, 0.3, 0.3], [0.05, 0.0, 0.0, 0.95, 0.0]]),
    np.array([[0, 1, 2, 0, 0], [0, 1, 1, 1, 1], [0, 2, 2, 2, 2]]),
)


def lines_of(source: KnownSource, least: float) -> Iterator[tuple[list[str], float]]:
    """Every line more probable than `least`, with its probability, from the tables by plain loops."""
    open_lines = [([], 0, 1.0)]
    while open_lines:
        line, state, probability = open_lines.pop()
        for column, word in enumerate(source.words):
            longer = ([*line, word], int(source.next_states[state, column]))
            after = probability * float(source.probabilities[state, column])
            if after > least:
                if word == "<eos>":
                    yield longer[0], after
                else:
                    open_lines.append((*longer, after))


def by_enumeration(source: KnownSource) -> float:
    """Entropy of a line over its mean length: lines are independent draws."""
    drawn = list(lines_of(source, 1e-15))
    assert sum(probability for _, probability in drawn) == pytest.approx(1, abs=1e-11)
    entropy = -sum(probability * math.log(probability) for _, probability in drawn)
    return entropy / sum(probability * len(line) for line, probability in drawn)


def by_power_iteration(source: KnownSource, steps: int) -> float:
    """Entropy of the next word, in the mean over the distribution of states after many words, by plain loops."""
    shares = [1.0] + [0.0] * (len(source.probabilities) - 1)
    for _ in range(steps):
        after = [0.0] * len(shares)
        for state, share in enumerate(shares):
            for column, probability in enumerate(source.probabilities[state].tolist()):
                after[source.next_states[state, column]] += share * probability
        shares = after
    terms = [
        share * probability * math.log(probability)
        for share, row in zip(shares, source.probabilities.tolist(), strict=True)
        for probability in row
        if probability > 0
    ]
    return -math.fsum(terms)


def test_the_entropy_rate_is_that_of_all_lines_enumerated() -> None:
    assert_close(SHORT.entropy_rate_nats, by_enumeration(SHORT), 1e-10)


@pytest.mark.parametrize("source", [SHORT, TWO_KINDS], ids=["short", "two kinds"])
def test_the_entropy_rate_is_that_of_states_iterated(source: KnownSource) -> None:
    assert_close(source.entropy_rate_nats, by_power_iteration(source, 2000), 1e-12)


@pytest.mark.parametrize("source", [SHORT, TWO_KINDS], ids=["short", "two kinds"])
def test_wrong_entropies_are_caught(source: KnownSource) -> None:
    rows = np.array([-sum(p * math.log(p) for p in row if p) for row in source.probabilities.tolist()])
    truth = by_power_iteration(source, 2000)
    without_start = source.stationary[1:] / source.stationary[1:].sum()
    for wrong in (rows.mean(), rows.max(), rows[1:] @ without_start, truth / math.log(2)):
        assert error(wrong, truth) > 1e-3


def test_the_stationary_distribution_is_where_a_long_text_dwells() -> None:
    assert_close(SHORT.stationary @ SHORT.transitions, SHORT.stationary, 1e-14)
    assert SHORT.stationary.sum() == pytest.approx(1, rel=1e-14)
    assert SHORT.stationary[0] == pytest.approx(SHORT.draw(200_000, generator(0)).count("<eos>") / 200_000, rel=0.02)


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def probability_by_all_paths(source: KnownSource, words: list[str]) -> float:
    """The probability of a text: the sum over all sequences of states, as of a hidden Markov model."""
    weights = [1.0] + [0.0] * (len(source.probabilities) - 1)
    for word in words:
        column = source.words.index(word)
        after = [0.0] * len(weights)
        for before, weight in enumerate(weights):
            after[source.next_states[before, column]] += weight * float(source.probabilities[before, column])
        weights = after
    return math.fsum(weights)


@given(st.sampled_from([SHORT, TWO_KINDS]), st.integers(0, 999), st.integers(0, 30))
def test_next_probabilities_are_ratios_of_text_probabilities(source: KnownSource, seed: int, length: int) -> None:
    past = source.draw(31, generator(seed))[:length]
    before = probability_by_all_paths(source, past)
    truth = [probability_by_all_paths(source, [*past, word]) / before for word in source.words]
    assert_close(source.next_probabilities(past), truth, 1e-12)


@given(st.sampled_from([SHORT, TWO_KINDS]), st.integers(0, 999), st.integers(1, 30))
def test_nll_is_that_of_the_whole_text_and_word_by_word(source: KnownSource, seed: int, length: int) -> None:
    words = source.draw(30, generator(seed))[:length]
    nll = source.nll_nats(words)
    assert nll.shape == (length,)
    assert_close(nll.sum(), -math.log(probability_by_all_paths(source, words)), 1e-12)
    chosen = source.words.index(words[-1])
    assert_close(nll[-1], -math.log(source.next_probabilities(words[:-1])[chosen]), 1e-12)


def test_the_first_word_starts_a_line() -> None:
    assert SHORT.nll_nats(["a", "<eos>", "b"]).tolist() == [-math.log(0.7), -math.log(0.9), -math.log(0.3)]
    assert SHORT.nll_nats([]).tolist() == []
    assert SHORT.next_probabilities([]).tolist() == [0.0, 0.7, 0.3]


def test_what_is_returned_is_a_copy() -> None:
    SHORT.next_probabilities([])[:] = 5
    assert SHORT.probabilities.max() < 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "x"], r"no word 'x' \(word 1\)"),
        (["<eos>"], r"never says '<eos>' where word 0"),
        (["b", "b"], r"never says 'b' where word 1"),
    ],
)
def test_a_text_that_cannot_be_is_refused(words: list[str], message: str) -> None:
    for ask in (SHORT.nll_nats, SHORT.next_probabilities):
        with pytest.raises(ArgumentError, match=message):
            ask(words)


def test_drawn_text_follows_the_probabilities() -> None:
    text = SHORT.draw(100_000, generator(1))
    lines = dict[str, int]()
    for line in " ".join(text).split("<eos>")[:-1]:
        lines[line.strip()] = lines.get(line.strip(), 0) + 1
    total = sum(lines.values())
    for line, probability in lines_of(SHORT, 1e-3):
        spread = math.sqrt(total * probability * (1 - probability))
        assert abs(lines[" ".join(line[:-1])] - total * probability) < 4.5 * spread


@given(st.integers(0, 999), st.integers(1, 50))
def test_drawn_text_is_whole_lines_none_empty(seed: int, least: int) -> None:
    text = SHORT.draw(least, generator(seed))
    assert len(text) >= least
    assert text[-1] == "<eos>"
    assert "<eos>" not in text[least - 1 : -1]  # no line more than needed
    assert all(line.strip() for line in " ".join(text).split("<eos>")[:-1])
    assert text == SHORT.draw(least, generator(seed))


def test_the_sampling_error_is_the_spread_of_means_over_many_texts() -> None:
    texts = [TWO_KINDS.draw(800, generator(seed)) for seed in range(300)]
    means = np.array([TWO_KINDS.nll_nats(text).mean() for text in texts])
    stated = np.mean([TWO_KINDS.sampling_error_nats(text) for text in texts])
    spread = np.sqrt(np.mean(np.square(means - TWO_KINDS.entropy_rate_nats)))
    assert stated == pytest.approx(spread, rel=0.12)  # 300 texts know their spread to 4 %
    independent = np.mean([TWO_KINDS.nll_nats(text).std() / math.sqrt(len(text)) for text in texts])
    assert independent < 0.5 * spread  # words taken as independent would promise far too much


def test_the_sampling_error_by_hand() -> None:
    rate = SHORT.entropy_rate_nats
    first, second = -math.log(0.7) - math.log(0.9) - 2 * rate, -math.log(0.3) - math.log(0.2) - math.log(0.8) - 3 * rate
    error_nats = SHORT.sampling_error_nats(["a", "<eos>", "b", "a", "<eos>"])
    assert_close(error_nats, math.hypot(first, second) / 5, 1e-12)


@pytest.mark.parametrize("words", [[], ["a"], ["a", "<eos>", "b"]])
def test_the_sampling_error_needs_whole_lines(words: list[str]) -> None:
    with pytest.raises(ArgumentError, match="whole lines"):
        SHORT.sampling_error_nats(words)


@pytest.mark.parametrize(
    ("words", "probabilities", "next_states", "message"),
    [
        (("a", "b"), [[0.5, 0.5]], [[0, 0]], "distinct words with <eos>"),
        (("<eos>", "a", "a"), [[0, 0.5, 0.5]], [[0, 0, 0]], "distinct words with <eos>"),
        (("<eos>", "a"), [[0, 0.5, 0.5]], [[0, 0, 0]], r"two tables \[S, 2\]"),
        (("<eos>", "a"), [[0, 1], [1, 0]], [[0, 1]], r"two tables \[S, 2\]"),
        (("<eos>", "a"), [[0, 1], [0.5, 0.4]], [[0, 1], [0, 1]], "sum to 1"),
        (("<eos>", "a"), [[0, 1], [1.5, -0.5]], [[0, 1], [0, 1]], "sum to 1"),
        (("<eos>", "a"), [[0, 1], [np.nan, 1]], [[0, 1], [0, 1]], "sum to 1"),
        (("<eos>", "a"), [[0, 1], [0.5, 0.5]], [[0, 1], [0, 2]], "lie in 0 to 1"),
        (("<eos>", "a"), [[0.1, 0.9], [0.5, 0.5]], [[0, 1], [0, 1]], "impossible there"),
        (("<eos>", "a"), [[0, 1], [0.5, 0.5]], [[0, 1], [1, 1]], "must lead to state 0"),
        (("<eos>", "a"), [[0, 1], [0.5, 0.5], [1, 0]], [[0, 1], [0, 1], [0, 1]], "State 2 is never reached"),
        (("<eos>", "a"), [[0, 1], [0, 1]], [[0, 1], [0, 1]], "State 1 .* never leads back"),
    ],
)
def test_tables_that_are_no_source(
    words: tuple[str, ...], probabilities: list[list[float]], next_states: list[list[int]], message: str
) -> None:
    with pytest.raises(ArgumentError, match=message):
        KnownSource(words, np.array(probabilities, dtype=np.float64), np.array(next_states))
