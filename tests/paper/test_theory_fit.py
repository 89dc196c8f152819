"""The classifier alone, at its optimum: held against closed forms and sums written out here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from tiedlm.nn.model import LanguageModel
from tiedlm.paper import theory_fit
from tiedlm.paper.theory_fit import Fitted, basis_of_variance_1, features_of, fit_classifier
from tiedlm.paper.theory_model import initial_model
from tiedlm.paper.theory_setting import TheoryConfig
from tiedlm.paper.theory_stretch import Stretch
from tiedlm.theory.distance import subspace_distance

WORDS = 30
TINY = TheoryConfig(
    temperature=10.0, beta=1.0, text_words=400, units=6, streams=5, steps=5, init_range=0.6, classifier_range=0.2
)


@pytest.fixture(scope="module")
def stretch() -> Stretch:
    return Stretch((np.random.default_rng(5).random(400) ** 2 * WORDS).astype(np.int64), WORDS, 3)


@pytest.fixture
def model() -> LanguageModel:
    return initial_model(TINY, WORDS, 0)


def fit(model: LanguageModel, stretch: Stretch, **changes: float) -> tuple[Fitted, Tensor, Tensor, Tensor]:
    """The fitted classifier, and h, u and L in float64."""
    config = replace(TINY, **changes)
    features, targets = features_of(model, stretch, config)
    table = model.table.detach().double()
    return fit_classifier(model, stretch, config), features, table[targets], table


def divergence(classifier: Tensor, features: Tensor, vectors: Tensor, table: Tensor, tau: float) -> Tensor:
    soft = torch.softmax(vectors @ table.T / tau, 1)
    return (soft * (soft.log() - torch.log_softmax(features @ classifier.T / tau, 1))).sum(1).mean()


def test_the_features_are_those_of_the_whole_stretch_in_one_pass(model, stretch):
    features, targets = features_of(model, stretch, TINY)
    every = replace(TINY, steps=80)
    for window, whole in zip((features, targets), features_of(model, stretch, every), strict=True):
        assert torch.allclose(window.double(), whole.double(), atol=1e-6)
    assert len(targets) == stretch.streams(TINY.streams).words


def test_the_basis_makes_features_uncorrelated_and_of_mean_square_1(model, stretch):
    features, _ = features_of(model, stretch, TINY)
    basis, inverse = basis_of_variance_1(features)
    equal = features @ basis
    assert torch.allclose(equal.T @ equal / len(equal), torch.eye(6, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(basis @ inverse, torch.eye(6, dtype=torch.float64), atol=1e-9)


def test_a_unit_that_is_always_0_does_no_harm():
    basis, inverse = basis_of_variance_1(torch.tensor([[1.0, 0.0], [2.0, 0.0]], dtype=torch.float64))
    assert bool(basis.isfinite().all())
    assert torch.allclose(basis @ inverse, torch.eye(2, dtype=torch.float64))


def test_at_a_high_temperature_it_is_the_least_squares_map_of_equation_4_3(model, stretch):
    fitted, features, vectors, table = fit(model, stretch, temperature=1e4)
    centred = table - table.mean(0)
    solution = torch.linalg.lstsq(features, vectors).solution
    expected = centred @ solution.T
    found = fitted.classifier - fitted.classifier.mean(0)
    assert (found - expected).norm() < 1e-3 * expected.norm()
    assert subspace_distance(found, expected) < 1e-2 < 0.5 < subspace_distance(model.classifier, expected)


@pytest.mark.parametrize("temperature", [0.5, 10.0])
def test_the_augmented_term_has_no_slope_left(model, stretch, temperature):
    fitted, features, vectors, table = fit(model, stretch, temperature=temperature)

    def slope(classifier: Tensor) -> float:
        point = classifier.detach().double().requires_grad_()
        divergence(point, features, vectors, table, temperature).backward()
        assert point.grad is not None
        return float(point.grad.norm())

    assert slope(fitted.classifier) < 1e-3 * slope(model.classifier)
    assert slope(-fitted.classifier) > 0.1 * slope(model.classifier)


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_where_cross_entropy_counts_the_bias_is_fitted_too(model, stretch, beta):
    fitted, features, vectors, table = fit(model, stretch, beta=beta, fit_evaluations=200)
    _, targets = features_of(model, stretch, TINY)

    def slopes(classifier: Tensor, bias: Tensor) -> list[float]:
        point = [tensor.detach().double().requires_grad_() for tensor in (classifier, bias)]
        scores = features @ point[0].T + point[1]
        loss = (1 - beta) * torch.nn.functional.cross_entropy(scores, targets)
        loss = loss + beta * 100 * WORDS * divergence(point[0], features, vectors, table, 10.0)
        return [float(slope.norm()) for slope in torch.autograd.grad(loss, point)]

    assert model.bias is not None
    before = slopes(model.classifier, model.bias)
    after = slopes(fitted.classifier, fitted.bias)
    assert all(ours < 0.01 * theirs for ours, theirs in zip(after, before, strict=True))
    scores = features @ fitted.classifier.T + fitted.bias
    assert fitted.cross_entropy == pytest.approx(float(torch.nn.functional.cross_entropy(scores, targets)), rel=1e-9)


def test_it_begins_at_the_classifier_as_trained(model, stretch, monkeypatch):
    monkeypatch.setattr(theory_fit, "_minimise", lambda *arguments: None)
    fitted, *_ = fit(model, stretch)
    assert torch.allclose(fitted.classifier, model.classifier.double(), rtol=1e-9, atol=1e-9)


def test_means_are_those_of_the_fitted_classifier(model, stretch):
    fitted, features, vectors, table = fit(model, stretch)
    again = divergence(fitted.classifier, features, vectors, table, TINY.temperature)
    assert fitted.divergence == pytest.approx(float(again), rel=1e-6)
    assert fitted.divergence < float(divergence(model.classifier.detach().double(), features, vectors, table, 10.0))
    assert fitted.feature_norm_squared == pytest.approx(float(features.norm(dim=1).square().mean()))


def test_the_model_stays_as_it_is(model, stretch):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fit(model, stretch)
    assert all(tensor.equal(before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
