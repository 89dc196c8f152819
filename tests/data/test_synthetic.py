"""The corpus of known entropy: its text to the byte, and its figures against loops written from the definition."""

import hashlib
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.compare import assert_close
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
        return [word.decode() for words, _ in read_chunks(self.folder / f"{split}.txt") for word in words]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("synthetic")
    return Built(folder, synthetic.build(folder))


def test_the_text_is_the_same_on_every_machine(built: Built) -> None:
    assert_close(built.provenance["entropy_rate_nats"], synthetic.source().entropy_rate_nats, 1e-15)
    assert_close(built.provenance["perplexity"], math.exp(built.provenance["entropy_rate_nats"]), 1e-15)
    assert 8 < built.provenance["perplexity"] < 20
    assert {split: built.provenance["splits"][split]["sha256"] for split in SPLITS} == SHA256
    for split in SPLITS:
        assert hashlib.sha256((built.folder / f"{split}.txt").read_bytes()).hexdigest() == SHA256[split]


def test_splits_are_as_long_and_hard_as_said(built: Built) -> None:
    for split, minimum in (("train", 300_000), ("valid", 30_000), ("test", 30_000)):
        words, entry = built.words(split), built.provenance["splits"][split]
        assert (entry["words"], entry["lines"]) == (len(words), words.count("<eos>"))
        assert minimum <= len(words) < minimum + 200
        assert_close(entry["nll_nats"], synthetic.source().nll_nats(words).mean(), 1e-15)
        assert_close(entry["perplexity"], math.exp(entry["nll_nats"]), 1e-15)
        assert_close(entry["sampling_error_nats"], synthetic.source().sampling_error_nats(words), 1e-15)


def test_the_text_meets_the_entropy_within_its_sampling_error_and_no_wrong_one(built: Built) -> None:
    source = synthetic.source()
    rows = np.array([-sum(p * math.log(p) for p in row if p) for row in source.probabilities.tolist()])
    later = source.stationary[1:] / source.stationary[1:].sum()
    wrong = {
        "states weighed alike": rows.mean(),
        "states but the first weighed alike": rows[1:].mean(),
        "lines' starts left out": rows[1:] @ later,
        "<eos> not counted": source.entropy_rate_nats / (1 - source.stationary[0]),
    }
    for split, entry in built.provenance["splits"].items():
        deviation = entry["nll_nats"] - built.provenance["entropy_rate_nats"]
        assert abs(deviation) < 3 * entry["sampling_error_nats"], split
        assert entry["sampling_error_nats"] < 0.01  # so that 3 % of the perplexity can be told from chance
        for name, entropy in wrong.items():
            assert abs(entry["nll_nats"] - entropy) > 5 * entry["sampling_error_nats"], name


# ---- The source itself, against loops written from the definition: states iterated, all paths of states summed.

WORDS = ("<eos>", "a", "b")
# state 0 starts a line; 1 and 2 remember how it began
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


@pytest.mark.parametrize(("source", "steps"), [(SHORT, 2000), (TWO_KINDS, 2000), (synthetic.source(), 50)])
def test_the_entropy_rate_is_that_of_states_iterated(source: KnownSource, steps: int) -> None:
    assert_close(source.entropy_rate_nats, by_power_iteration(source, steps), 1e-12)


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


@settings(max_examples=40)
@given(st.sampled_from([SHORT, TWO_KINDS]), st.integers(0, 999), st.integers(1, 30))
def test_nll_is_that_of_the_whole_text_and_word_by_word(source: KnownSource, seed: int, length: int) -> None:
    words = source.draw(30, np.random.default_rng(seed))[:length]
    nll = source.nll_nats(words)
    assert nll.shape == (length,)
    assert_close(nll.sum(), -math.log(probability_by_all_paths(source, words)), 1e-12)
    before = probability_by_all_paths(source, words[:-1])
    assert_close(nll[-1], math.log(before) - math.log(probability_by_all_paths(source, words)), 1e-12)


def test_the_sampling_error_by_hand() -> None:
    rate = SHORT.entropy_rate_nats
    first, second = -math.log(0.7) - math.log(0.9) - 2 * rate, -math.log(0.3) - math.log(0.2) - math.log(0.8) - 3 * rate
    error_nats = SHORT.sampling_error_nats(["a", "<eos>", "b", "a", "<eos>"])
    assert_close(error_nats, math.hypot(first, second) / 5, 1e-12)
