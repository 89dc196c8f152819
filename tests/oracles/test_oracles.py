"""The oracles, held against something that is neither the package nor themselves."""

from dataclasses import replace

import numpy as np
import pytest

from oracles import augmented_loss, gru, lstm, rhn
from support.compare import assert_close
from support.losses import make


def numeric(problem: augmented_loss.Problem, name: str, weights: np.ndarray, step: float = 1e-5) -> np.ndarray:
    """The derivative of the weighted loss by one array, by central differences."""
    array = getattr(problem, name)
    found = np.zeros_like(array)
    for place in np.ndindex(array.shape):
        sides = []
        for sign in (1, -1):
            moved = array.copy()
            moved[place] += sign * step
            sides.append(weights @ augmented_loss.values(replace(problem, **{name: moved})))
        found[place] = (sides[0] - sides[1]) / (2 * step)
    return found


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("biased", [True, False])
def test_gradients_of_the_loss_are_its_finite_differences(tied: bool, biased: bool) -> None:
    problem = make(3, tied=tied, biased=biased, targets=[0, 4, 4, -100, 6, 2], temperature=2.0)
    weights = np.linspace(0.2, 1.4, 6)
    truth = augmented_loss.gradients(problem, weights)
    for name in ("features", "classifier", "table", "bias"):
        if getattr(problem, name) is not None:
            assert_close(getattr(truth, name), numeric(problem, name, weights), 1e-8, name)


def test_a_detached_target_leaves_the_gradient_of_the_classifier_alone() -> None:
    problem = make(5, temperature=2.0)
    weights = np.ones(6)
    held = replace(problem, table=problem.classifier.copy())
    stopped = augmented_loss.gradients(problem, weights, detach_target=True)
    assert_close(stopped.classifier, numeric(held, "classifier", weights), 1e-8)


def test_the_loss_of_two_words_is_what_one_works_out_on_paper() -> None:
    problem = augmented_loss.Problem(
        features=np.array([[1.0]]),
        classifier=np.array([[np.log(3.0)], [0.0]]),
        targets=np.array([0]),
        bias=np.array([0.0, np.log(3.0)]),
        table=np.array([[0.0], [5.0]]),
        temperature=1.0,
        gamma=2.0,
    )
    cross_entropy = np.log(2.0)  # y = (3, 1 * 3) / 6
    divergence = 0.5 * np.log(0.5 / 0.75) + 0.5 * np.log(0.5 / 0.25)  # from (1/2, 1/2) to (3/4, 1/4)
    assert_close(augmented_loss.values(problem), [cross_entropy + 2 * divergence], 1e-15)


def test_a_mean_is_over_the_targets_that_count_and_over_none_it_is_zero() -> None:
    problem = make(targets=[1, -100, 2, -100, -100, 3])
    total = augmented_loss.reduced(problem, "sum")
    assert_close(augmented_loss.reduced(problem, "mean"), total / 3, 1e-15)
    assert augmented_loss.reduced(make(targets=[-100] * 6), "mean") == 0


def test_one_lstm_unit_is_what_one_works_out_on_paper() -> None:
    outer, inner, bias, before = (0.3, -0.2, 0.8, 0.5), (0.4, 0.1, -0.6, 0.9), (0.0, 0.2, -0.1, 0.3), 0.6
    layer = lstm.Layer(np.array(outer)[:, None], np.array(inner)[:, None], np.array(bias), np.array([[2.0]]))
    state = (np.full((1, 1, 1), before), np.full((1, 1, 1), 0.7))
    outputs, (h, c) = lstm.network([layer], np.ones((1, 1, 1)), state)
    gates = [out + 2.0 * before * own + shift for out, own, shift in zip(outer, inner, bias, strict=True)]
    enter, forget, leave = (1 / (1 + np.exp(-gates[number])) for number in (0, 1, 3))
    memory = forget * 0.7 + enter * np.tanh(gates[2])
    assert_close(c, [[[memory]]], 1e-15)
    assert_close(h, [[[leave * np.tanh(memory)]]], 1e-15)
    assert_close(outputs, 2.0 * h, 1e-15)


def test_one_gru_unit_is_what_one_works_out_on_paper() -> None:
    outer, inner, before = (0.3, -0.2, 0.8), (0.5, 0.1, -0.6), 0.7
    layer = gru.Layer(
        np.array(outer)[:, None], np.array(inner)[:, None], np.zeros(3), np.array([0.0, 0.0, 0.25]), np.array([[2.0]])
    )
    outputs, h = gru.network([layer], np.ones((1, 1, 1)), np.full((1, 1, 1), before))
    reset, update = (
        1 / (1 + np.exp(-(out + 2.0 * before * own))) for out, own in zip(outer[:2], inner[:2], strict=True)
    )
    content = np.tanh(0.8 + reset * (2.0 * before * -0.6 + 0.25))
    assert_close(h, [[[(1 - update) * content + update * before]]], 1e-15)
    assert_close(outputs, 2.0 * h, 1e-15)


def test_one_highway_unit_of_depth_two_is_what_one_works_out_on_paper() -> None:
    layer = rhn.Layer(
        input_weight=np.array([[0.3], [-0.2]]),
        recurrent_weights=np.array([[[0.5], [0.4]], [[-0.7], [0.9]]]),
        biases=np.array([[0.1, -2.0], [0.2, -1.0]]),
        input_mask=np.array([[4.0]]),
        state_mask=np.array([[2.0]]),
    )
    outputs, s = rhn.network([layer], np.ones((1, 1, 1)), np.full((1, 1, 1), 0.6), np.array([[0.5]]))
    state, drive = 0.6, (4.0 * 0.3, 4.0 * -0.2)
    for (to_candidate, to_gate), (shift, bias), (x_candidate, x_gate) in zip(
        [(0.5, 0.4), (-0.7, 0.9)], [(0.1, -2.0), (0.2, -1.0)], [drive, (0.0, 0.0)], strict=True
    ):
        candidate = np.tanh(x_candidate + to_candidate * 2.0 * state + shift)
        gate = 1 / (1 + np.exp(-(x_gate + to_gate * 2.0 * state + bias)))
        state = candidate * gate + state * (1 - gate)
    assert_close(s, [[[state]]], 1e-15)
    assert_close(outputs, 0.5 * s, 1e-15)
