from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tiedlm.errors import CorpusError, TrainingError
from tiedlm.reproduction.theory_model import initial_model
from tiedlm.reproduction.theory_run import (
    Stretch,
    choose_stretch,
    rate_share,
    run_theory,
)
from tiedlm.reproduction.theory_setting import TheoryConfig
from tiedlm.theory.distance import chance_distance

TINY = TheoryConfig(
    temperature=10.0,
    beta=1.0,
    text_words=600,
    units=8,
    epochs=3,
    streams=5,
    steps=5,
    init_range=0.6,
    layer_rate=0.01,
    vector_rate=0.004,
    detach_target=True,
)
WORDS = 60


@pytest.fixture(scope="module")
def stretch() -> Stretch:
    """Random words, the frequent ones more often, `<eos>` now and then."""
    draw = np.random.default_rng(5)
    return Stretch((draw.random(TINY.text_words) ** 2 * WORDS).astype(np.int64), WORDS, 3)


def test_a_stretch_is_contiguous_and_has_its_own_ids():
    text = np.arange(1000) % 97 + 10
    found = choose_stretch(text, 50, 0, run=1)
    distinct = np.unique([0, *found_words(text, found)])
    assert found.words == len(distinct)
    assert found.end_id == 0  # `<eos>` is among them even where the stretch lacks it
    assert distinct[found.ids].tolist() in [text[first : first + 50].tolist() for first in range(951)]


def found_words(text, found):
    """The words of the stretch, by their order: ids are given in the order of the text's ids."""
    start = next(s for s in range(951) if np.array_equal(np.argsort(text[s : s + 50]), np.argsort(found.ids)))
    return text[start : start + 50]


def test_every_run_has_a_stretch_of_its_own_and_always_the_same():
    text = np.random.default_rng(1).integers(0, 9, 5000)
    stretches = [choose_stretch(text, 40, 0, run).ids.tolist() for run in (0, 1, 2, 0)]
    assert stretches[0] == stretches[3]
    assert stretches[0] != stretches[1] != stretches[2]


def test_a_text_may_be_the_whole_stretch_but_not_shorter():
    assert choose_stretch(np.array([1, 2]), 2, 1, 0).ids.tolist() == [0, 1]
    with pytest.raises(CorpusError, match=r"has 2 words, but a stretch of 3"):
        choose_stretch(np.array([1, 2]), 3, 1, 0)


def test_word_vectors_start_and_stay_at_norm_1(stretch):
    ones = torch.ones(WORDS)
    assert torch.allclose(initial_model(TINY, WORDS, 0).table.norm(dim=1), ones)
    seen = []
    run_theory(TINY, stretch, 0, progress=lambda standing: seen.append(standing.model.table.detach().norm(dim=1)))
    assert len(seen) == TINY.epochs
    assert all(torch.allclose(norms, ones, atol=1e-6) for norms in seen)


def test_the_vectors_are_trained(stretch):
    seen = [initial_model(TINY, WORDS, 0).table.detach().clone()]
    run_theory(TINY, stretch, 0, progress=lambda standing: seen.append(standing.model.table.detach().clone()))
    assert all((after - before).abs().max() > 1e-7 for before, after in itertools.pairwise(seen))


def test_the_augmented_term_brings_the_spaces_together_and_cross_entropy_does_not(stretch):
    chance = chance_distance(WORDS, TINY.units)
    together = run_theory(TINY, stretch, 0)
    apart = run_theory(replace(TINY, beta=0.0), stretch, 0)
    assert together.distance < 0.4 < 0.8 * chance < apart.distance
    assert together.words == WORDS
    assert abs(together.vectors.mean_cosine) < 0.2
    assert together.vectors.mean_norm == pytest.approx(1)


def test_the_same_run_twice_is_the_same(stretch):
    assert run_theory(TINY, stretch, 2) == run_theory(TINY, stretch, 2)
    assert run_theory(TINY, stretch, 2).distance != run_theory(TINY, stretch, 3).distance


def test_the_loss_falls(stretch):
    long = replace(TINY, epochs=20)
    assert run_theory(long, stretch, 0).augmented < run_theory(TINY, stretch, 0).augmented
    plain = replace(TINY, beta=0.0)
    first, last = run_theory(plain, stretch, 0), run_theory(replace(plain, epochs=20), stretch, 0)
    assert last.cross_entropy_nats < first.cross_entropy_nats < math.log(WORDS)


def test_a_loss_that_is_not_finite_is_told(stretch):
    with pytest.raises(TrainingError, match="not finite in epoch"):
        run_theory(replace(TINY, layer_rate=math.inf), stretch, 0)


def test_rates_fall_in_the_second_half():
    assert [rate_share(epoch, 5) for epoch in range(1, 6)] == pytest.approx([1, 1, 1, 4 / 6, 2 / 6])
    assert rate_share(1, 1) == 1
