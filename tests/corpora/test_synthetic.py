from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from support.compare import assert_close, error
from tiedlm.corpora import synthetic
from tiedlm.corpora.encode import SPLITS
from tiedlm.corpora.text import pieces

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
        return [word.decode() for piece in pieces(self.folder / f"{split}.txt") for word in piece.words]


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


def test_topic_and_class_are_what_the_docstring_says() -> None:
    source = synthetic.source()
    early, late = (source.next_probabilities(past) for past in (["pa", "ba"], ["pa", "ku", "di", "be"]))
    assert np.array_equal(early, late)  # the same topic and the same class of the previous word
    assert error(source.next_probabilities(["ra", "ba"]), early) > 0.1  # another topic
    assert error(source.next_probabilities(["pa", "da"]), early) > 0.1  # another class
    assert early[0] == synthetic.END_PROBABILITY
    later = early[1 + 8 :].reshape(8, 10)  # [class, word]: rows in proportion to those after another class
    other = source.next_probabilities(["pa", "da"])[1 + 8 :].reshape(8, 10)
    assert_close(later / later.sum(axis=1, keepdims=True), other / other.sum(axis=1, keepdims=True), 1e-12)


def test_torch_is_not_imported() -> None:
    program = "import sys, tiedlm.corpora.synthetic; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
