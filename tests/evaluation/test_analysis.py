"""What a perplexity hides: block means, frequency bands, probability mass, neighbours, and the whole analysis."""

import math

import numpy as np
import pytest
import torch

from support.layers import BigramModel
from tiedlm.data.text import Vocabulary
from tiedlm.errors import ArgumentError
from tiedlm.evaluation.analysis import BlockMeans, Estimate, analyze, nearest_words
from tiedlm.evaluation.perplexity import word_nlls
from tiedlm.nn.config import LSTMConfig
from tiedlm.nn.model import LanguageModel


def means(values, counted=None, blocks=4, at_once=3, name="x"):
    table = torch.tensor(values, dtype=torch.float64)[:, None]
    counts = torch.ones_like(table, dtype=torch.bool) if counted is None else torch.tensor(counted)[:, None]
    result = BlockMeans([name], len(table), blocks)
    for first in range(0, len(table), at_once):
        result.add(table[first : first + at_once], counts[first : first + at_once])
    return result


def only(estimates) -> Estimate:
    (estimate,) = estimates.values()
    assert estimate is not None
    return estimate


def test_equal_blocks_by_hand():
    """Four blocks of two words with the means 1, 2, 3, 6: sd 2.1602, error sd / 2."""
    estimate = only(means([1, 1, 2, 2, 3, 3, 6, 6]).estimates())
    assert (estimate.mean, estimate.words) == (3, 8)
    assert estimate.standard_error == pytest.approx(math.sqrt(14 / 3) / 2)
    assert estimate.interval == pytest.approx((3 - 0.98 * math.sqrt(14 / 3), 3 + 0.98 * math.sqrt(14 / 3)))


def test_words_that_do_not_count_by_hand():
    """Blocks with sums 1, 4 and counts 1, 2: R = 5/3; e = 2 (s - R c) / 3 = -4/9 and 4/9."""
    result = means([1, 100, 2, 2], [True, False, True, True], blocks=2)
    assert result.by_block() == {"x": ([1, 4], [1, 2])}
    estimate = only(result.estimates())
    assert (estimate.mean, estimate.words) == (pytest.approx(5 / 3), 3)
    assert estimate.standard_error == pytest.approx(4 / 9)


def test_what_two_models_share_cancels_in_their_difference():
    hard = [5.0, 4.0, 1.0, 9.0, 2.0, 7.0, 3.0, 8.0]
    easier = [value - 0.5 for value in hard]
    estimate = only(means(easier).differences(means(hard)))
    assert estimate.mean == pytest.approx(-0.5)
    assert estimate.standard_error < 1e-12
    assert only(means(hard).estimates()).standard_error > 0.2


def test_words_on_a_circle():
    """Angles 0, 10, 30, 180 degrees at any length: nearness is a matter of direction."""
    angles = torch.deg2rad(torch.tensor([0.0, 10.0, 30.0, 180.0]))
    lengths = torch.tensor([1.0, 9.0, 0.1, 5.0])
    vectors = torch.stack([angles.cos(), angles.sin()], dim=1) * lengths[:, None]
    assert nearest_words(vectors, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]


@pytest.mark.parametrize("count", [0, 3])
def test_a_count_out_of_range_is_refused(count):
    with pytest.raises(ArgumentError, match=f"{count} neighbours were asked for, but a word has from 1 to 2"):
        nearest_words(torch.eye(3), count)


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


def mean(values):
    return pytest.approx(sum(values) / len(values), rel=1e-6)


def test_probability_mass_by_a_loop():
    mass = analyze(BigramModel(BIGRAMS), WORDS, np.array(TEXT), {"near": NEAR}).mass
    estimates = mass.estimates()
    everywhere = ["<unk>, everywhere", "a, everywhere", "the, everywhere"]
    assert list(estimates) == ["<unk>", "a", "the", *everywhere, "near", "target"]  # the vocabulary lacks "an"
    rows = [BIGRAMS[before].tolist() for before in BEFORE]
    pairs = list(zip(rows, TEXT, strict=True))
    expected = {
        "near": [sum(row[word] for word in NEAR[target].tolist()) for row, target in pairs],
        "target": [row[target] for row, target in pairs],
    }
    for name, word in {"<unk>": UNK, "a": A, "the": THE}.items():
        expected[name] = [row[word] for row, target in pairs if target != word]
        expected[f"{name}, everywhere"] = [row[word] for row in rows]
    for name, values in expected.items():
        estimate = estimates[name]
        assert estimate is not None
        assert (estimate.mean, estimate.words) == (mean(values), len(values))
        sums, counts = mass.by_block()[name]
        assert (sum(sums) / sum(counts), len(sums)) == (pytest.approx(estimate.mean), len(TEXT))


@pytest.mark.parametrize(
    ("size", "ranks"),
    [
        (3_001, ["1-10", "11-100", "101-1,000", "1,001-3,000", "3,001-3,001"]),
        (3_000, ["1-10", "11-100", "101-1,000", "1,001-3,000"]),
        (11, ["1-10", "11-11"]),
        (10, ["1-10"]),
    ],
)
def test_bands_are_those_of_a_loop(size, ranks):
    vocabulary = Vocabulary.from_counts({f"word{number}": 2 for number in range(size - 2)})
    model = LanguageModel(LSTMConfig(units=3, layers=1), size).eval()
    ids = np.array([0, 9, 8, 0, size - 1, min(10, size - 1), min(99, size - 1), min(100, size - 1)])
    analysis = analyze(model, vocabulary, ids, {})
    assert [band.ranks for band in analysis.bands] == ranks
    targets, nll = (torch.cat(part) for part in zip(*word_nlls(model, ids, end_id=vocabulary.end_id), strict=True))
    for band in analysis.bands:
        first, last = (int(rank.replace(",", "")) for rank in band.ranks.split("-"))
        values = [float(n) for word, n in zip(targets, nll, strict=True) if first <= int(word) + 1 <= last]
        assert band.targets == len(values)
        assert band.nll_nats == (mean(values) if values else None)
        norms, classifier = (t[first - 1 : last].detach().square().sum(1) for t in (model.table, model.classifier))
        assert band.squared_norm == pytest.approx(float(norms.mean()), rel=1e-5)
        assert band.classifier_squared_norm == pytest.approx(float(classifier.mean()), rel=1e-5)


def test_features_and_geometry():
    vocabulary = Vocabulary.from_counts({f"word{number}": 2 for number in range(20)})
    model = LanguageModel(LSTMConfig(units=6, layers=1, init_range=1.0), len(vocabulary)).eval()
    model.reset_parameters(torch.Generator().manual_seed(2))
    ids = np.random.default_rng(1).integers(0, len(vocabulary), 700)
    analysis = analyze(model, vocabulary, ids, {})
    with torch.no_grad():
        features, _ = model(torch.tensor([vocabulary.end_id, *ids[:-1]])[:, None], model.initial_state(1))
    assert analysis.feature_norm_squared == pytest.approx(float(features.square().sum(-1).mean()), rel=1e-5)
    assert analysis.geometry.subspaces is not None
    assert analysis.geometry.subspaces.distance > 0.1
