from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from support.stub_model import BigramModel
from tiedlm.data.text import Vocabulary
from tiedlm.errors import CorpusError
from tiedlm.evaluation.analysis import analyze
from tiedlm.evaluation.neighbours import nearest_words
from tiedlm.evaluation.perplexity import perplexity
from tiedlm.nn.config import LSTMConfig
from tiedlm.nn.model import LanguageModel

COUNTS = {f"word{number:02}": 60 - number for number in range(20)} | {"<eos>": 70, "<unk>": 30}
WORDS = Vocabulary.from_counts(COUNTS)
IDS = np.random.default_rng(1).integers(0, len(WORDS), 700)


@pytest.fixture(scope="module")
def untied() -> LanguageModel:
    model = LanguageModel(LSTMConfig(units=6, layers=1, init_range=1.0), len(WORDS))
    model.reset_parameters(torch.Generator().manual_seed(2))
    return model.eval()


@pytest.fixture(scope="module")
def found(untied):
    return analyze(untied, WORDS, IDS, {"near": nearest_words(untied.table, 3)})


def test_the_score_is_that_of_the_protocol_to_the_last_digit(found, untied):
    assert found.score == perplexity(untied, IDS, end_id=WORDS.end_id, unknown_id=WORDS.unknown_id)


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
    before = torch.tensor([WORDS.end_id, *IDS[:-1]])[:, None]
    with torch.no_grad():
        features, _ = untied(before, untied.initial_state(1))
    assert found.feature_norm_squared == pytest.approx(float(features.square().sum(-1).mean()), rel=1e-5)
    assert found.geometry.subspaces.distance > 0.1


def test_the_probability_of_the_target_is_that_of_the_score():
    rows = torch.full((len(WORDS), len(WORDS)), 0.01)
    rows.fill_diagonal_(1 - 0.01 * (len(WORDS) - 1))
    found = analyze(BigramModel(rows), WORDS, IDS[:1], {})
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
        analyze(untied, WORDS, IDS[:0], {})
