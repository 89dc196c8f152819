from __future__ import annotations

import numpy as np
import pytest
import torch

from oracles.augmented_loss import Problem, gradients, values
from tiedlm.errors import ArgumentError
from tiedlm.theory.objective import theory_loss

N, V, D = 6, 9, 4


def problem(temperature: float, gamma: float) -> Problem:
    draw = np.random.default_rng(7)
    arrays = {"features": (N, D), "classifier": (V, D), "table": (V, D), "bias": (V,)}
    targets = np.array([3, 1, 3, 8, 0, 1])  # some of them twice
    drawn = {name: draw.normal(size=shape) for name, shape in arrays.items()}
    return Problem(**drawn, targets=targets, temperature=temperature, gamma=gamma)


def tensors(given: Problem) -> dict[str, torch.Tensor]:
    names = ("features", "classifier", "table", "bias")
    return {name: torch.tensor(getattr(given, name), requires_grad=True) for name in names}


def loss(given: Problem, arrays: dict[str, torch.Tensor], beta: float, detach_target: bool = False):
    inputs = dict(arrays)
    features, classifier = inputs.pop("features"), inputs.pop("classifier")
    targets, temperature = torch.tensor(given.targets), given.temperature
    return theory_loss(
        features, classifier, targets, **inputs, temperature=temperature, beta=beta, detach_target=detach_target
    )


@pytest.mark.parametrize("temperature", [0.5, 10.0])
@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("detach_target", [False, True])
def test_loss_and_gradients_are_those_of_the_oracle(temperature, beta, detach_target):
    """J_tot is made of the oracle's losses: (1 - beta) of gamma 0, and beta tau V times (gamma 1 less gamma 0)."""
    plain, augmented = problem(temperature, 0.0), problem(temperature, 1.0)
    weight = beta * temperature * V
    expected = (1 - beta) * values(plain).sum() + weight * (values(augmented) - values(plain)).sum()
    arrays = tensors(plain)
    terms = loss(plain, arrays, beta, detach_target)
    assert terms.total.item() == pytest.approx(expected, rel=1e-10)
    assert terms.cross_entropy.item() == pytest.approx(values(plain).sum(), rel=1e-10)
    terms.total.backward()
    ones = np.ones(N)
    left, right = (gradients(each, ones, detach_target=detach_target) for each in (plain, augmented))
    for name, array in arrays.items():
        a, b = getattr(left, name), getattr(right, name)
        wanted = (1 - beta) * a + weight * (b - a)
        found = np.zeros_like(wanted) if array.grad is None else array.grad.numpy()
        assert np.abs(found - wanted).max() <= 1e-9 * np.abs(wanted).max()


def test_at_a_high_temperature_the_gradient_is_that_of_equation_4_3():
    given = problem(1e4, 0.0)
    assert given.table is not None
    arrays = tensors(given)
    terms = loss(given, arrays, 1.0, detach_target=True)
    terms.total.backward()
    logits, soft = given.features @ given.classifier.T, given.table[given.targets] @ given.table.T
    error = logits - soft
    wanted = (error - error.mean(1, keepdims=True)).T @ given.features
    found = arrays["classifier"].grad
    assert found is not None
    assert np.abs(found.numpy() - wanted).max() / np.abs(wanted).max() < 1e-3


def test_the_bias_is_no_part_of_the_augmented_term():
    given = problem(2.0, 0.0)
    arrays = tensors(given)
    loss(given, arrays, 1.0).total.backward()
    assert arrays["bias"].grad is None or not arrays["bias"].grad.any()


def test_weights_out_of_range_are_refused():
    given = problem(1.0, 0.0)
    with pytest.raises(ArgumentError, match=r"beta is 1\.1"):
        loss(given, tensors(given), 1.1)
