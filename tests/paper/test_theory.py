"""One run of the theory experiment: its loss, its phases, its optimum, and a resume to the bit."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from oracles.augmented_loss import Problem, gradients, values
from tiedlm.errors import ArgumentError, CorpusError, TrainingError
from tiedlm.evaluation.analysis import chance_distance, subspace_distance
from tiedlm.paper import theory
from tiedlm.paper.figure1 import ALIGN_PHASE, MEMORISE_PHASE, TheoryConfig
from tiedlm.paper.theory import (
    Fitted,
    Stretch,
    choose_stretch,
    fit_classifier,
    initial_model,
    run_theory,
    theory_loss,
    whitening,
)
from tiedlm.runs.load import bytes_to_tensors, tensors_to_bytes

AS_PUBLISHED = TheoryConfig(
    temperature=10.0,
    beta=1.0,
    text_words=300,
    units=6,
    apart=replace(MEMORISE_PHASE, epochs=2),
    together=replace(ALIGN_PHASE, epochs=2),
    streams=5,
    init_range=0.5,
)
"""The experiment as it is published, its sizes aside."""


def stretch_of(length: int, words: int) -> Stretch:
    """Random words, the frequent ones more often, `<eos>` now and then."""
    return Stretch((np.random.default_rng(5).random(length) ** 2 * words).astype(np.int64), words, 3)


N, V, D = 6, 9, 4


def problem(temperature: float, gamma: float) -> Problem:
    draw = np.random.default_rng(7)
    shapes = {"features": (N, D), "classifier": (V, D), "table": (V, D), "bias": (V,)}
    arrays = {name: draw.normal(size=shape) for name, shape in shapes.items()}
    return Problem(**arrays, targets=np.array([3, 1, 3, 8, 0, 1]), temperature=temperature, gamma=gamma)


@pytest.mark.parametrize("temperature", [0.5, 10.0])
@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("detach_target", [False, True])
def test_loss_and_gradients_are_those_of_the_oracle(temperature: float, beta: float, detach_target: bool) -> None:
    """J_tot is made of the oracle's losses: (1 - beta) of gamma 0, and beta tau V times (gamma 1 less gamma 0)."""
    plain, augmented = problem(temperature, 0.0), problem(temperature, 1.0)
    weight = beta * temperature * V
    names = ("features", "classifier", "table", "bias")
    arrays = {name: torch.tensor(getattr(plain, name), requires_grad=True) for name in names}
    options: Any = {"temperature": temperature, "beta": beta, "detach_target": detach_target}
    loss = theory_loss(**arrays, targets=torch.tensor(plain.targets), **options)
    loss.total.backward()
    expected = (1 - beta) * values(plain).sum() + weight * (values(augmented) - values(plain)).sum()
    assert loss.total.item() == pytest.approx(expected, rel=1e-10)
    assert loss.cross_entropy.item() == pytest.approx(values(plain).sum(), rel=1e-10)
    left, right = (gradients(each, np.ones(N), detach_target=detach_target) for each in (plain, augmented))
    for name, array in arrays.items():
        a, b = getattr(left, name), getattr(right, name)
        expected = (1 - beta) * a + weight * (b - a)
        gradient = np.zeros_like(expected) if array.grad is None else array.grad.numpy()
        assert np.abs(gradient - expected).max() <= 1e-9 * np.abs(expected).max()


def test_temperature_and_beta_have_ranges() -> None:
    config = TheoryConfig(temperature=10.0, beta=0.4)
    for change, message in (({"beta": 1.5}, "beta is 1.5"), ({"temperature": 0.0}, "temperature is 0")):
        with pytest.raises(ArgumentError, match=message):
            replace(config, **change)


def test_a_stretch_is_contiguous_in_ids_of_its_own_and_each_run_has_its_own() -> None:
    text = np.random.default_rng(1).integers(10, 107, 1000)
    stretch = choose_stretch(text, 50, 0, run=1)

    def ids_of(first: int) -> list[int]:
        return np.searchsorted(np.unique([0, *text[first : first + 50]]), text[first : first + 50]).tolist()

    places = [first for first in range(951) if ids_of(first) == stretch.ids.tolist()]
    assert len(places) == 1
    assert stretch.end_id == 0  # `<eos>` is among them even where the stretch lacks it
    assert stretch.words == len(np.unique([0, *text[places[0] : places[0] + 50]]))
    runs = [choose_stretch(text, 50, 0, run).ids.tolist() for run in (0, 1, 2, 0)]
    assert runs[0] == runs[3]
    assert runs[0] != runs[1] != runs[2]
    with pytest.raises(CorpusError, match="has 2 words, but a stretch of 3"):
        choose_stretch(np.array([1, 2]), 3, 1, 0)


def run_as_published(**changes: Any) -> Any:
    return run_theory(replace(AS_PUBLISHED, **changes), stretch_of(AS_PUBLISHED.text_words, 40), 0)


def test_a_run_as_published_comes_to_what_it_once_came_to_at_the_rates_of_its_phases() -> None:
    """To 1 %: Muon multiplies in bfloat16, and its products, rounded otherwise, move these by up to 0.5 %."""
    rates: list[list[float]] = []
    outcome = run_theory(
        AS_PUBLISHED,
        stretch_of(AS_PUBLISHED.text_words, 40),
        0,
        on_epoch=lambda state: rates.append([each.param_groups[0]["lr"] for each in state.optimizers]),
    )
    figures = (outcome.distance, outcome.distance_as_trained, outcome.vectors.effective_directions, outcome.augmented)
    assert figures == pytest.approx((0.4019, 0.8418, 1.984, 0.3005), rel=0.01)
    assert outcome.vectors.mean_norm == pytest.approx(1)
    vectors = ((MEMORISE_PHASE, MEMORISE_PHASE.vector_rate, 0.0), (ALIGN_PHASE, 0.0, ALIGN_PHASE.vector_rate))
    assert rates == [
        pytest.approx(
            [phase.classifier_rate, share * phase.layer_rate, share * phase.bias_rate, share * adam, share * sgd]
        )
        for phase, adam, sgd in vectors
        for share in (1, 2 / 3)
    ]


def test_cross_entropy_and_a_detached_target_leave_the_spaces_apart() -> None:
    outcome = run_as_published(beta=0.0)
    assert outcome.distance > 0.8 * chance_distance(40, AS_PUBLISHED.units)
    assert outcome.distance_centred > 0.8 * chance_distance(40, AS_PUBLISHED.units)
    outcome = run_as_published(detach_target=True)
    assert outcome.distance_as_trained < 0.2
    assert outcome.vectors.effective_directions > 5


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    with pytest.raises(TrainingError, match="not finite in epoch"):
        run_as_published(apart=replace(MEMORISE_PHASE, layer_rate=math.inf))


def test_a_run_resumes_after_any_epoch_to_the_bit_and_needs_what_optimisers_remember() -> None:
    config, stretch, states = replace(AS_PUBLISHED, beta=0.5), stretch_of(300, 40), []
    outcome = run_theory(config, stretch, 0, on_epoch=lambda state: states.append(state.tensors()))
    for done in (1, 3, 4):
        epochs: list[int] = []
        state = bytes_to_tensors(tensors_to_bytes(states[done - 1]))
        again = run_theory(config, stretch, 0, state=state, on_epoch=lambda each, to=epochs: to.append(each.epoch))
        assert again == outcome
        assert epochs == list(range(done + 1, 5))
    for memory in ("exp_avg", "momentum_buffer"):
        without = {name: tensor * 0 if memory in name else tensor for name, tensor in states[0].items()}
        assert run_theory(config, stretch, 0, state=without) != outcome
    for other in ({}, states[0] | {"optimizer.0.7.step": torch.tensor(1.0)}):
        with pytest.raises(ArgumentError, match="state is that of another run"):
            run_theory(config, stretch, 0, state=other)


# the classifier at its optimum

FIT = TheoryConfig(
    temperature=10.0, beta=1.0, text_words=400, units=6, streams=5, steps=5, init_range=0.6, classifier_range=0.2
)
FIT_WORDS = 30
FIT_STRETCH = stretch_of(400, FIT_WORDS)
MODEL = initial_model(FIT, FIT_WORDS, 0)


def inputs(config: TheoryConfig = FIT) -> tuple[Tensor, Tensor, Tensor]:
    """h and the targets of the whole stretch, and L, in float64."""
    with torch.no_grad():
        windows = list(vars(theory)["_features_by_window"](MODEL, FIT_STRETCH, config))
    features, targets = (torch.cat(parts) for parts in zip(*windows, strict=True))
    return features.double(), targets, MODEL.table.detach().double()


def divergence(classifier: Tensor, tau: float) -> Tensor:
    features, targets, table = inputs()
    soft = torch.softmax(table[targets] @ table.T / tau, 1)
    return (soft * (soft.log() - torch.log_softmax(features @ classifier.T / tau, 1))).sum(1).mean()


def fit(**changes: Any) -> Fitted:
    return fit_classifier(MODEL, FIT_STRETCH, replace(FIT, **changes))


def test_features_are_those_of_one_pass_and_a_unit_that_is_always_0_does_no_harm() -> None:
    assert torch.allclose(inputs()[0], inputs(replace(FIT, steps=80))[0], atol=1e-6)
    basis, inverse = whitening(torch.tensor([[1.0, 0.0], [2.0, 0.0]], dtype=torch.float64))
    assert bool(basis.isfinite().all())
    assert torch.allclose(basis @ inverse, torch.eye(2, dtype=torch.float64))


def test_at_a_high_temperature_the_optimum_is_the_least_squares_map_of_equation_4_3() -> None:
    classifier = fit(temperature=1e4).classifier
    features, targets, table = inputs()
    expected = (table - table.mean(0)) @ torch.linalg.lstsq(features, table[targets]).solution.T
    classifier = classifier - classifier.mean(0)
    assert (classifier - expected).norm() < 1e-3 * expected.norm()
    assert subspace_distance(classifier, expected) < 1e-2 < 0.5 < subspace_distance(MODEL.classifier, expected)


@pytest.mark.parametrize("temperature", [0.5, 10.0])
def test_the_augmented_term_has_no_slope_left(temperature: float) -> None:
    def slope(classifier: Tensor) -> float:
        point = classifier.detach().double().requires_grad_()
        return float(torch.autograd.grad(divergence(point, temperature), point)[0].norm())

    fitted = fit(temperature=temperature)
    assert slope(fitted.classifier) < 1e-3 * slope(MODEL.classifier)
    assert slope(-fitted.classifier) > 0.1 * slope(MODEL.classifier)
    assert fitted.divergence == pytest.approx(float(divergence(fitted.classifier, temperature)), rel=1e-6)


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_where_cross_entropy_counts_the_bias_is_fitted_too(beta: float) -> None:
    features, targets, _ = inputs()
    fitted = fit(beta=beta, fit_evaluations=200)

    def slopes(classifier: Tensor, bias: Tensor) -> list[float]:
        point = [tensor.detach().double().requires_grad_() for tensor in (classifier, bias)]
        cross_entropy = torch.nn.functional.cross_entropy(features @ point[0].T + point[1], targets)
        loss = (1 - beta) * cross_entropy + beta * 100 * FIT_WORDS * divergence(point[0], 10.0)
        return [float(slope.norm()) for slope in torch.autograd.grad(loss, point)]

    assert MODEL.bias is not None
    before, after = slopes(MODEL.classifier, MODEL.bias), slopes(fitted.classifier, fitted.bias)
    assert all(left < 0.01 * right for left, right in zip(after, before, strict=True))
    cross_entropy = torch.nn.functional.cross_entropy(features @ fitted.classifier.T + fitted.bias, targets)
    assert fitted.cross_entropy == pytest.approx(float(cross_entropy), rel=1e-9)
    assert fitted.feature_norm_squared == pytest.approx(float(features.norm(dim=1).square().mean()))
