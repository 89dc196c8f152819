from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from tiedlm.errors import TrainingError
from tiedlm.reproduction.theory_model import initial_model
from tiedlm.reproduction.theory_run import run_theory
from tiedlm.reproduction.theory_schedule import APART, TOGETHER
from tiedlm.reproduction.theory_setting import TheoryConfig
from tiedlm.reproduction.theory_stretch import Stretch
from tiedlm.theory.distance import chance_distance

SHORT = replace(APART, epochs=2, layer_rate=0.01)
TINY = TheoryConfig(
    temperature=10.0,
    beta=1.0,
    text_words=600,
    units=8,
    apart=SHORT,
    together=replace(TOGETHER, epochs=1, layer_rate=0.01, vector_rate=0.01),
    streams=5,
    steps=5,
    init_range=0.6,
    detach_target=True,
)
WORDS = 60


@pytest.fixture(scope="module")
def stretch() -> Stretch:
    """Random words, the frequent ones more often, `<eos>` now and then."""
    draw = np.random.default_rng(5)
    return Stretch((draw.random(TINY.text_words) ** 2 * WORDS).astype(np.int64), WORDS, 3)


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
    assert together.distance_centred < 0.4 < 0.8 * chance < apart.distance_centred
    assert together.distance_centred != together.distance
    assert together.words == WORDS
    assert abs(together.vectors.mean_cosine) < 0.2
    assert together.vectors.mean_norm == pytest.approx(1)


def test_the_same_run_twice_is_the_same(stretch):
    assert run_theory(TINY, stretch, 2) == run_theory(TINY, stretch, 2)
    assert run_theory(TINY, stretch, 2).distance != run_theory(TINY, stretch, 3).distance


def test_the_loss_falls(stretch):
    long = replace(TINY, apart=replace(SHORT, epochs=20))
    assert run_theory(long, stretch, 0).augmented < run_theory(TINY, stretch, 0).augmented
    plain = replace(TINY, beta=0.0)
    first, last = run_theory(plain, stretch, 0), run_theory(replace(long, beta=0.0), stretch, 0)
    assert last.cross_entropy_nats < first.cross_entropy_nats < math.log(WORDS)


def test_a_loss_that_is_not_finite_is_told(stretch):
    with pytest.raises(TrainingError, match="not finite in epoch"):
        run_theory(replace(TINY, apart=replace(SHORT, layer_rate=math.inf)), stretch, 0)
