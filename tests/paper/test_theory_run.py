from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from support.theory_config import AS_PUBLISHED
from tiedlm.errors import TrainingError
from tiedlm.paper.theory_model import initial_model
from tiedlm.paper.theory_run import run_theory
from tiedlm.paper.theory_schedule import APART, TOGETHER
from tiedlm.paper.theory_setting import TheoryConfig, TheoryOutcome
from tiedlm.paper.theory_stretch import Stretch
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
)
WORDS = 60


def stretch_of(length: int, words: int) -> Stretch:
    """Random words, the frequent ones more often, `<eos>` now and then."""
    return Stretch((np.random.default_rng(5).random(length) ** 2 * words).astype(np.int64), words, 3)


@pytest.fixture(scope="module")
def stretch() -> Stretch:
    return stretch_of(TINY.text_words, WORDS)


def run_as_published(**changes: bool) -> tuple[TheoryOutcome, list[list[float]]]:
    """What a run comes to, and after each epoch the rates of classifier, weights, biases and vectors by either."""
    rates = []
    outcome = run_theory(
        replace(AS_PUBLISHED, **changes),
        stretch_of(AS_PUBLISHED.text_words, 40),
        0,
        progress=lambda standing: rates.append([each.param_groups[0]["lr"] for each in standing.optimizers]),
    )
    return outcome, rates


def test_a_run_as_published_comes_to_what_it_once_came_to():
    """To 1 %: Muon multiplies in bfloat16, and its products, rounded otherwise, move these by up to 0.5 %."""
    found, _ = run_as_published()
    figures = (found.distance, found.distance_as_trained, found.vectors.effective_directions, found.augmented)
    assert figures == pytest.approx((0.4019, 0.8418, 1.984, 0.3005), rel=0.01)


def test_without_the_gradient_through_the_soft_target_the_vectors_stay_apart():
    found, _ = run_as_published(detach_target=True)
    assert found.distance_as_trained < 0.2
    assert found.vectors.effective_directions > 5


def test_each_part_has_the_rate_of_its_phase_and_all_but_the_classifiers_fall():
    _, rates = run_as_published()
    expected = [
        [phase.classifier_rate, share * phase.layer_rate, share * phase.bias_rate, share * adam, share * sgd]
        for phase, adam, sgd in ((APART, APART.vector_rate, 0.0), (TOGETHER, 0.0, TOGETHER.vector_rate))
        for share in (1, 2 / 3)
    ]
    assert rates == [pytest.approx(epoch) for epoch in expected]


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
