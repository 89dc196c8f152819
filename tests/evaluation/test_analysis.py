"""What a perplexity hides: block means, frequency bands, probability mass, neighbours, and the whole analysis."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from support.stub_model import BigramModel
from tiedlm.data.text import Vocabulary
from tiedlm.errors import ArgumentError, CorpusError
from tiedlm.evaluation import FREQUENT_WORDS, TARGET, everywhere
from tiedlm.evaluation import analysis as analysis_module
from tiedlm.evaluation.analysis import (
    BandTally,
    BlockMeans,
    Estimate,
    WordMass,
    analyze,
    frequency_bands,
    mean_squared_norms,
    nearest_words,
)
from tiedlm.evaluation.perplexity import perplexity, predict_windows
from tiedlm.nn.config import LSTMConfig
from tiedlm.nn.model import LanguageModel


def means(values, counted=None, blocks=4, at_once=3):
    table = torch.tensor(values, dtype=torch.float64)[:, None]
    counts = torch.ones_like(table, dtype=torch.bool) if counted is None else torch.tensor(counted)[:, None]
    found = BlockMeans(1, len(table), blocks)
    for first in range(0, len(table), at_once):
        found.add(table[first : first + at_once], counts[first : first + at_once])
    return found


def only(estimates) -> Estimate:
    (one,) = estimates
    assert one is not None
    return one


def test_equal_blocks_by_hand():
    """Four blocks of two words with the means 1, 2, 3, 6: sd 2.1602, error sd / 2."""
    found = only(means([1, 1, 2, 2, 3, 3, 6, 6]).estimates())
    assert (found.mean, found.words) == (3, 8)
    assert found.standard_error == pytest.approx(math.sqrt(14 / 3) / 2)
    assert found.interval == pytest.approx((3 - 0.98 * math.sqrt(14 / 3), 3 + 0.98 * math.sqrt(14 / 3)))


def test_words_that_do_not_count_by_hand():
    """Blocks with sums 1, 4 and counts 1, 2: R = 5/3; e = 2 (s - R c) / 3 = -4/9 and 4/9."""
    found = only(means([1, 100, 2, 2], [True, False, True, True], blocks=2).estimates())
    assert (found.mean, found.words) == (pytest.approx(5 / 3), 3)
    assert found.standard_error == pytest.approx(4 / 9)


def test_sums_by_block_by_hand():
    (found,) = means([1, 100, 2, 2], [True, False, True, True], blocks=2).by_block()
    assert (found.sums, found.counts) == ([1, 4], [1, 2])
    assert all(isinstance(count, int) for count in found.counts)


@pytest.mark.parametrize("at_once", [1, 2, 5, 20])
def test_how_a_text_is_cut_into_windows_changes_nothing(at_once):
    values = [math.sin(k) for k in range(17)]
    assert means(values, blocks=5, at_once=at_once).estimates() == means(values, blocks=5, at_once=17).estimates()


def test_what_two_models_share_cancels_in_their_difference():
    hard = [5.0, 4.0, 1.0, 9.0, 2.0, 7.0, 3.0, 8.0]
    easier = [value - 0.5 for value in hard]
    found = only(means(easier).differences(means(hard)))
    assert found.mean == pytest.approx(-0.5)
    assert found.standard_error < 1e-12
    assert only(means(hard).estimates()).standard_error > 0.2


def test_the_error_is_that_of_repeated_texts():
    """Words alike within blocks of ten: the error must be that over blocks, three times that over single words."""
    generator = torch.Generator().manual_seed(3)

    def text():
        return torch.randn(100, generator=generator, dtype=torch.float64).repeat_interleave(10).tolist()

    estimates = [only(means(text(), blocks=100, at_once=1000).estimates()) for _ in range(200)]
    spread = torch.tensor([one.mean for one in estimates]).std().item()
    told = sum(one.standard_error for one in estimates) / len(estimates)
    assert told == pytest.approx(spread, rel=0.15)


def test_a_measure_that_no_word_counts_for_has_no_mean():
    assert means([1, 2], [False, False]).estimates() == [None]


def test_one_block_has_no_error():
    assert only(means([1, 2], blocks=1).estimates()) == Estimate(mean=1.5, standard_error=math.inf, words=2)


def test_other_words_do_not_compare():
    with pytest.raises(ArgumentError, match="over different words"):
        means([1, 2]).differences(means([1, 2], [True, False]))
    with pytest.raises(ArgumentError, match="over different words"):
        means([1, 2]).differences(means([1, 2, 3]))


@pytest.mark.parametrize(
    ("words", "ranks"),
    [
        (10_000, ["1-10", "11-100", "101-1,000", "1,001-3,000", "3,001-10,000"]),
        (3_001, ["1-10", "11-100", "101-1,000", "1,001-3,000", "3,001-3,001"]),
        (3_000, ["1-10", "11-100", "101-1,000", "1,001-3,000"]),
        (11, ["1-10", "11-11"]),
        (10, ["1-10"]),
        (3, ["1-3"]),
    ],
)
def test_every_word_stands_in_one_band(words, ranks):
    bands = frequency_bands(words)
    assert [str(band) for band in bands] == ranks
    ids = [number for band in bands for number in range(words)[band.ids]]
    assert ids == list(range(words))


def test_sums_are_those_of_a_loop():
    generator = torch.Generator().manual_seed(1)
    targets = torch.randint(0, 1500, (400,), generator=generator)
    nll = torch.rand(400, generator=generator, dtype=torch.float64)
    tally = BandTally(1500)
    for first in range(0, 400, 90):
        tally.add(targets[first : first + 90], nll[first : first + 90])
    for band, count, mean in zip(tally.bands, tally.targets.tolist(), tally.mean_nll_nats(), strict=True):
        own = [float(n) for word, n in zip(targets, nll, strict=True) if band.first <= int(word) + 1 <= band.last]
        assert count == len(own)
        assert mean == (pytest.approx(sum(own) / len(own)) if own else None)


def test_words_at_the_ends_of_bands():
    tally = BandTally(200)
    tally.add(torch.tensor([0, 9, 10, 99, 100, 199]), torch.tensor([1.0, 2, 4, 8, 16, 32]))
    assert tally.targets.tolist() == [2, 2, 2]
    assert tally.mean_nll_nats() == [1.5, 6, 24]


def test_a_band_without_a_word_has_no_mean():
    tally = BandTally(50)
    tally.add(torch.tensor([3]), torch.tensor([0.5]))
    assert tally.mean_nll_nats() == [0.5, None]


def test_norms_by_band():
    table = torch.ones(12, 4)
    table[10:] = 3
    assert mean_squared_norms(table, frequency_bands(12)) == [4, 36]


def test_every_measure_has_a_name_of_its_own():
    names = [*FREQUENT_WORDS, *map(everywhere, FREQUENT_WORDS), TARGET]
    assert len(set(names)) == 9
    assert all(" " in everywhere(word) for word in FREQUENT_WORDS)  # as no word of a text has


def test_words_on_a_circle():
    """Angles 0, 10, 30, 180 degrees at any length: nearness is a matter of direction."""
    angles = torch.deg2rad(torch.tensor([0.0, 10.0, 30.0, 180.0]))
    lengths = torch.tensor([1.0, 9.0, 0.1, 5.0])
    vectors = torch.stack([angles.cos(), angles.sin()], dim=1) * lengths[:, None]
    assert nearest_words(vectors, 2).tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]


def test_rows_are_the_same_however_many_at_once(monkeypatch):
    vectors = torch.randn(50, 6, generator=torch.Generator().manual_seed(2))
    whole = nearest_words(vectors, 5)
    monkeypatch.setattr(analysis_module, "ROWS_AT_ONCE", 7)
    assert torch.equal(nearest_words(vectors, 5), whole)
    cosines = torch.nn.functional.cosine_similarity(vectors[:, None], vectors[None], dim=2).fill_diagonal_(-2)
    assert torch.equal(cosines.sort(descending=True).indices[:, :5], whole)


def test_a_word_without_direction_is_near_to_none_before_others():
    vectors = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 0.1]])
    assert nearest_words(vectors, 1).tolist()[0] == [2]


@pytest.mark.parametrize("count", [0, 3])
def test_a_count_out_of_range_is_refused(count):
    with pytest.raises(ArgumentError, match=f"{count} neighbours were asked for, but a word has from 1 to 2"):
        nearest_words(torch.eye(3), count)


def test_a_vocabulary_of_few_words_has_all_others_as_neighbours():
    assert nearest_words(torch.eye(3)).shape == (3, 2)
    assert nearest_words(torch.eye(40)).shape == (40, 10)


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
    for window in predict_windows(BigramModel(rows), torch.tensor(text).numpy(), end_id=EOS, window_steps=window_steps):
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


COUNTS = {f"word{number:02}": 60 - number for number in range(20)} | {"<eos>": 70, "<unk>": 30}
VOCABULARY = Vocabulary.from_counts(COUNTS)
IDS = np.random.default_rng(1).integers(0, len(VOCABULARY), 700)


@pytest.fixture(scope="module")
def untied() -> LanguageModel:
    model = LanguageModel(LSTMConfig(units=6, layers=1, init_range=1.0), len(VOCABULARY))
    model.reset_parameters(torch.Generator().manual_seed(2))
    return model.eval()


@pytest.fixture(scope="module")
def found(untied):
    return analyze(untied, VOCABULARY, IDS, {"near": nearest_words(untied.table, 3)})


def test_the_score_is_that_of_the_protocol_to_the_last_digit(found, untied):
    assert found.score == perplexity(untied, IDS, end_id=VOCABULARY.end_id, unknown_id=VOCABULARY.unknown_id)


def test_bands_make_up_the_whole(found):
    assert [band.ranks for band in found.bands] == ["1-10", "11-22"]
    assert sum(band.targets for band in found.bands) == len(IDS)
    total = math.fsum(band.targets * band.nll_nats for band in found.bands)
    assert total == pytest.approx(found.score.nll_nats, rel=1e-12)


def test_norms_are_those_of_the_two_tables(found, untied):
    norms, own = (table.detach().double().square().sum(1) for table in (untied.table, untied.classifier))
    assert [band.squared_norm for band in found.bands] == pytest.approx(
        [float(norms[:10].mean()), float(norms[10:].mean())]
    )
    assert [band.classifier_squared_norm for band in found.bands] == pytest.approx(
        [float(own[:10].mean()), float(own[10:].mean())]
    )


def test_features_and_geometry(found, untied):
    before = torch.tensor([VOCABULARY.end_id, *IDS[:-1]])[:, None]
    with torch.no_grad():
        features, _ = untied(before, untied.initial_state(1))
    assert found.feature_norm_squared == pytest.approx(float(features.square().sum(-1).mean()), rel=1e-5)
    assert found.geometry.subspaces.distance > 0.1


def test_the_probability_of_the_target_is_that_of_the_score():
    rows = torch.full((len(VOCABULARY), len(VOCABULARY)), 0.01)
    rows.fill_diagonal_(1 - 0.01 * (len(VOCABULARY) - 1))
    found = analyze(BigramModel(rows), VOCABULARY, IDS[:1], {})
    target = found.mass.estimates()["target"]
    assert target is not None
    assert target.mean == pytest.approx(1 / found.score.perplexity, rel=1e-6)
    assert found.bands[0].classifier_squared_norm is None  # one table


def test_all_figures_are_plain_json(found):
    whole = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert set(whole) == {"score", "bands", "feature_norm_squared", "geometry", "probability"}
    assert set(whole["probability"]) == {"<unk>", "<unk>, everywhere", "near", "target"}
    low, high = whole["probability"]["<unk>"]["interval"]
    assert low < whole["probability"]["<unk>"]["mean"] < high


def test_a_text_without_a_word_is_refused(untied):
    with pytest.raises(CorpusError, match="no word"):
        analyze(untied, VOCABULARY, IDS[:0], {})


@pytest.mark.parametrize("units", [3, 9])
def test_a_vocabulary_of_few_words_is_analyzed(vocabulary, units):
    model = LanguageModel(LSTMConfig(units=units, layers=1), len(vocabulary))
    analysis = analyze(model.eval(), vocabulary, np.arange(7), {"near": nearest_words(model.table)})
    assert [band.ranks for band in analysis.bands] == ["1-7"]
    near, target = (analysis.mass.estimates()[name] for name in ("near", "target"))
    assert near is not None
    assert target is not None
    assert near.mean + target.mean == pytest.approx(1)
    assert (analysis.geometry.subspaces is None) == (units > 7)
