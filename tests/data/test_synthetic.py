from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.compare import assert_close, error
from tiedlm.data import synthetic
from tiedlm.data.sources import SPLITS
from tiedlm.data.synthetic import KnownSource
from tiedlm.data.text import read_chunks

SHA256 = {
    "train": "0e3a5fe8198ab10b16bf51980a9945d7a89acd808dab671638892bef454302cf",
    "valid": "2e5ab51488eae4e6873348714db75ef832ac4ba6286b52dbbaeb964dc2926638",
    "test": "203f5453a726ec7560134dc4a8a28dd7b8ec3c223f758980323d5e915ee50b5d",
}


class Built(NamedTuple):
    folder: Path
    provenance: dict[str, Any]

    def words(self, split: str) -> list[str]:
        """The words as a reader of the file finds them."""
        return [word.decode() for piece in read_chunks(self.folder / f"{split}.txt") for word in piece.words]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("synthetic")
    return Built(folder, synthetic.build(folder))


def test_the_text_is_the_same_on_every_machine(built: Built) -> None:
    assert {split: built.provenance["splits"][split]["sha256"] for split in SPLITS} == SHA256
    for split in SPLITS:
        assert hashlib.sha256((built.folder / f"{split}.txt").read_bytes()).hexdigest() == SHA256[split]


def test_the_files_read_back_as_the_words_drawn(built: Built) -> None:
    for split in SPLITS:
        assert built.words(split) == synthetic.text(split)
        assert all(line.strip() for line in (built.folder / f"{split}.txt").read_text().splitlines())


def test_splits_are_drawn_apart_and_as_long_as_said(built: Built) -> None:
    assert built.words("valid")[:500] != built.words("test")[:500] != built.words("train")[:500]
    for split, least in (("train", 300_000), ("valid", 30_000), ("test", 30_000)):
        told = built.provenance["splits"][split]
        assert told["words"] == len(built.words(split))
        assert told["lines"] == built.words(split).count("<eos>")
        assert least <= told["words"] < least + 200


def test_every_word_is_often_met_in_training(built: Built) -> None:
    counts = Counter(built.words("train"))
    assert set(counts) == set(synthetic.source().words)
    assert len(counts) == 89
    assert min(counts.values()) >= 200


def entropy_by_power_iteration() -> float:
    """From topics and classes by plain loops, with their tables read back off the source's rows."""
    source = synthetic.source()
    shares = np.eye(len(source.probabilities))[0]
    for _ in range(1000):
        after = np.zeros_like(shares)
        for state, share in enumerate(shares):
            for column, probability in enumerate(source.probabilities[state]):
                after[source.next_states[state, column]] += share * probability
        if np.abs(after - shares).max() < 1e-16:
            break
        shares = after
    entropies = [-math.fsum(p * math.log(p) for p in row if p > 0) for row in source.probabilities.tolist()]
    return math.fsum(share * entropy for share, entropy in zip(shares, entropies, strict=True))


def test_the_entropy_rate_agrees_with_states_iterated(built: Built) -> None:
    assert_close(built.provenance["entropy_rate_nats"], entropy_by_power_iteration(), 1e-12)
    assert_close(built.provenance["perplexity"], math.exp(built.provenance["entropy_rate_nats"]), 1e-15)
    assert 8 < built.provenance["perplexity"] < 20


def test_the_text_meets_the_entropy_within_its_sampling_error_and_no_wrong_one(built: Built) -> None:
    source = synthetic.source()
    rows = np.array([-sum(p * math.log(p) for p in row if p) for row in source.probabilities.tolist()])
    later = source.stationary[1:] / source.stationary[1:].sum()
    wrong = {
        "states weighed alike": rows.mean(),
        "states but the first weighed alike": rows[1:].mean(),
        "lines' starts left out": rows[1:] @ later,
        "<eos> not counted": entropy_by_power_iteration() / (1 - source.stationary[0]),
    }
    for split, told in built.provenance["splits"].items():
        deviation = told["nll_nats"] - built.provenance["entropy_rate_nats"]
        assert abs(deviation) < 3 * told["sampling_error_nats"], split
        assert told["sampling_error_nats"] < 0.01  # so that 3 % of the perplexity can be told from chance
        for name, entropy in wrong.items():
            assert abs(told["nll_nats"] - entropy) > 5 * told["sampling_error_nats"], name


def test_provenance_is_of_the_files_as_they_read_back(built: Built) -> None:
    assert json.loads(json.dumps(built.provenance)) == built.provenance
    for split, told in built.provenance["splits"].items():
        words = built.words(split)
        assert_close(told["nll_nats"], synthetic.source().nll_nats(words).mean(), 1e-15)
        assert_close(told["perplexity"], math.exp(told["nll_nats"]), 1e-15)
        assert_close(told["sampling_error_nats"], synthetic.source().sampling_error_nats(words), 1e-15)


def test_every_states_next_words_are_met_as_often_as_said(built: Built) -> None:
    source = synthetic.source()
    met = np.zeros_like(source.probabilities)
    state = 0
    for word in built.words("train"):
        column = source.words.index(word)
        met[state, column] += 1
        state = source.next_states[state, column]
    expected = met.sum(axis=1, keepdims=True) * source.probabilities
    assert not met[source.probabilities == 0].any()
    likely = expected > 5
    chi_square = float((np.square(met - expected)[likely] / expected[likely]).sum())
    freedom = int(likely.sum()) - len(met)
    assert abs(chi_square - freedom) < 4 * math.sqrt(2 * freedom)
    shuffled = np.roll(expected, 1, axis=0)[likely]  # the rows of other states would be caught
    assert float((np.square(met[likely] - shuffled) / np.maximum(shuffled, 5)).sum()) > 100 * freedom


def test_a_line_must_be_remembered_from_its_first_word() -> None:
    source = synthetic.source()
    pairs = np.zeros((len(source.words),) * 2)  # share of each word after each word
    for state, share in enumerate(source.stationary):
        for column, probability in enumerate(source.probabilities[state]):
            pairs[column] += share * probability * source.probabilities[source.next_states[state, column]]
    given_previous = pairs / pairs.sum(axis=1, keepdims=True)
    logs = np.log(given_previous, where=given_previous > 0, out=np.zeros_like(pairs))
    assert math.exp(-(pairs * logs).sum()) > 1.3 * math.exp(source.entropy_rate_nats)


def next_probabilities(past: list[str]) -> np.ndarray:
    """The exact probability of every next word [V], from the tables."""
    source, state = synthetic.source(), 0
    for word in past:
        state = int(source.next_states[state, source.words.index(word)])
    return source.probabilities[state]


def test_topic_and_class_are_what_the_docstring_says() -> None:
    early, late = next_probabilities(["pa", "ba"]), next_probabilities(["pa", "ku", "di", "be"])
    assert np.array_equal(early, late)  # the same topic and the same class of the previous word
    assert error(next_probabilities(["ra", "ba"]), early) > 0.1  # another topic
    assert error(next_probabilities(["pa", "da"]), early) > 0.1  # another class
    assert early[0] == synthetic.END_PROBABILITY
    later = early[1 + 8 :].reshape(8, 10)  # [class, word]: rows in proportion to those after another class
    other = next_probabilities(["pa", "da"])[1 + 8 :].reshape(8, 10)
    assert_close(later / later.sum(axis=1, keepdims=True), other / other.sum(axis=1, keepdims=True), 1e-12)


def test_the_tables_are_distributions_in_which_every_line_ends_and_every_state_is_reached() -> None:
    source = synthetic.source()
    assert_close(source.probabilities.sum(axis=1), np.ones(len(source.probabilities)), 1e-15)
    assert source.probabilities[0, source.words.index("<eos>")] == 0  # no empty line
    assert (source.probabilities[1:, source.words.index("<eos>")] > 0).all()
    assert (source.next_states[:, source.words.index("<eos>")] == 0).all()
    assert (source.stationary > 0).all()


def test_torch_is_not_imported() -> None:
    program = "import sys, tiedlm.data.synthetic; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


# ---- The source itself, against loops written from the definition: all lines enumerated, all paths of states summed.

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


@given(st.sampled_from([SHORT, TWO_KINDS]), st.integers(0, 999), st.integers(1, 30))
def test_nll_is_that_of_the_whole_text_and_word_by_word(source: KnownSource, seed: int, length: int) -> None:
    words = source.draw(30, generator(seed))[:length]
    nll = source.nll_nats(words)
    assert nll.shape == (length,)
    assert_close(nll.sum(), -math.log(probability_by_all_paths(source, words)), 1e-12)
    before = probability_by_all_paths(source, words[:-1])
    assert_close(nll[-1], math.log(before) - math.log(probability_by_all_paths(source, words)), 1e-12)


def test_the_first_word_starts_a_line() -> None:
    assert SHORT.nll_nats(["a", "<eos>", "b"]).tolist() == [-math.log(0.7), -math.log(0.9), -math.log(0.3)]
    assert SHORT.nll_nats([]).tolist() == []
    assert SHORT.nll_nats(["b", "b"]).tolist() == [-math.log(0.3), math.inf]  # never said there


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
