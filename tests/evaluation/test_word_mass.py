from __future__ import annotations

import pytest
import torch

from support.stub_model import BigramModel
from tiedlm.data.text import Vocabulary
from tiedlm.errors import ArgumentError
from tiedlm.evaluation.predictions import predictions
from tiedlm.evaluation.word_mass import WordMass

WORDS = Vocabulary.from_counts({"<eos>": 9, "the": 8, "a": 7, "cat": 6, "<unk>": 5})
EOS, THE, A, CAT, UNK = range(5)
BIGRAMS = torch.tensor(
    [
        [0.1, 0.3, 0.2, 0.1, 0.3],
        [0.1, 0.1, 0.1, 0.6, 0.1],
        [0.2, 0.2, 0.2, 0.2, 0.2],
        [0.5, 0.1, 0.2, 0.1, 0.1],
        [0.4, 0.1, 0.3, 0.1, 0.1],
    ]
)
NEAR = torch.tensor([[UNK, CAT], [A, CAT], [THE, CAT], [UNK, EOS], [CAT, EOS]])
TEXT = [THE, CAT, EOS, A, UNK, EOS]
BEFORE = [EOS, THE, CAT, EOS, A, UNK]


def measured(rows=BIGRAMS, near=NEAR, window_steps=4, text=TEXT):
    mass = WordMass(WORDS, len(text), {"near": near}, blocks=3)
    for window in predictions(BigramModel(rows), torch.tensor(text).numpy(), end_id=EOS, window_steps=window_steps):
        mass.add(window)
    return mass


def mean(values):
    return pytest.approx(sum(values) / len(values), rel=1e-6)


@pytest.mark.parametrize("window_steps", [1, 4, 6])
def test_a_text_by_a_loop(window_steps):
    found = measured(window_steps=window_steps).estimates()
    everywhere = ["<unk>, everywhere", "a, everywhere", "the, everywhere"]
    assert list(found) == ["<unk>", "a", "the", *everywhere, "near", "target"]  # the vocabulary lacks "an"
    rows = [BIGRAMS[before].tolist() for before in BEFORE]
    for name, word in {"<unk>": UNK, "a": A, "the": THE}.items():
        one = found[name]
        assert one is not None
        assert one.mean == mean([row[word] for row, target in zip(rows, TEXT, strict=True) if target != word])
        assert one.words == 5
        over_all = found[f"{name}, everywhere"]
        assert over_all is not None
        assert over_all.mean == mean([row[word] for row in rows])
        assert over_all.words == 6
    near, target = found["near"], found["target"]
    assert near is not None
    assert near.mean == mean([sum(row[w] for w in NEAR[t].tolist()) for row, t in zip(rows, TEXT, strict=True)])
    assert target is not None
    assert target.mean == mean([row[t] for row, t in zip(rows, TEXT, strict=True)])


def test_blocks_sum_up_to_the_means():
    mass = measured()
    assert list(mass.by_block()) == list(mass.names)
    for name, (sums, counts) in mass.by_block().items():
        one = mass.estimates()[name]
        assert one is not None
        assert (len(sums), len(counts), sum(counts)) == (3, 3, one.words)
        assert sum(sums) / sum(counts) == pytest.approx(one.mean)


def test_two_models_on_one_text():
    other = BIGRAMS.clone()
    other[:, UNK], other[:, CAT] = BIGRAMS[:, UNK] - 0.05, BIGRAMS[:, CAT] + 0.05
    found = measured(other).differences(measured())
    unknown, the = found["<unk>"], found["the"]
    assert unknown is not None
    assert unknown.mean == pytest.approx(-0.05, rel=1e-5)
    assert unknown.standard_error < 1e-6
    assert the is not None
    assert abs(the.mean) < 1e-7


def test_a_word_that_is_always_the_target_is_measured_nowhere():
    assert measured(text=[THE, THE]).estimates()["the"] is None


def test_other_measures_do_not_compare():
    with pytest.raises(ArgumentError, match="do not compare"):
        measured().differences(WordMass(WORDS, len(TEXT), {}))
