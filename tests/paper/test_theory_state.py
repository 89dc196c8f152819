"""A run that goes on from any epoch is the run that was left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.theory_config import AS_PUBLISHED
from tiedlm.checkpoint.tensors import bytes_to_tensors, tensors_to_bytes
from tiedlm.errors import ArgumentError
from tiedlm.paper.theory_run import run_theory
from tiedlm.paper.theory_stretch import Stretch

CONFIG = replace(AS_PUBLISHED, beta=0.5)
WORDS = 40


@pytest.fixture(scope="module")
def stretch() -> Stretch:
    return Stretch((np.random.default_rng(5).random(300) * WORDS).astype(np.int64), WORDS, 3)


@pytest.fixture(scope="module")
def states(stretch):
    """The outcome of a whole run, and its state after each epoch."""
    found = []
    outcome = run_theory(CONFIG, stretch, 0, progress=lambda standing: found.append(standing.tensors()))
    return outcome, found


@pytest.mark.parametrize("epoch", [1, 3, 4])
def test_a_run_goes_on_to_the_bit(stretch, states, epoch):
    outcome, found = states
    state = bytes_to_tensors(tensors_to_bytes(found[epoch - 1]))
    epochs = []
    again = run_theory(CONFIG, stretch, 0, state=state, progress=lambda standing: epochs.append(standing.epoch))
    assert again == outcome
    assert epochs == list(range(epoch + 1, 5))


def test_a_state_is_a_copy_that_training_leaves_alone(states):
    _, found = states
    assert any(not found[0][name].equal(found[1][name]) for name in found[0] if name.startswith("model."))
    assert any(not found[0][name].equal(found[1][name]) for name in found[0] if name.startswith("optimizer."))


@pytest.mark.parametrize("memory", ["exp_avg", "momentum_buffer"])
def test_what_optimisers_remember_is_part_of_it(stretch, states, memory):
    outcome, found = states
    assert any(memory in name for name in found[0])
    without = {name: tensor * 0 if memory in name else tensor for name, tensor in found[0].items()}
    assert run_theory(CONFIG, stretch, 0, state=without) != outcome


def test_the_state_of_another_run_is_refused(stretch, states):
    with pytest.raises(ArgumentError, match="state is that of another run"):
        run_theory(replace(CONFIG, units=5), stretch, 0, state=states[1][0])
    with pytest.raises(ArgumentError, match="state is that of another run"):
        run_theory(CONFIG, stretch, 0, state={})


@pytest.mark.parametrize("memory", ["exp_avg_sq", "momentum_buffer", "step"])
def test_a_state_that_lacks_what_an_optimiser_remembers_is_refused(stretch, states, memory):
    without = {name: tensor for name, tensor in states[1][0].items() if not name.endswith(memory)}
    with pytest.raises(ArgumentError, match=f"state is that of another run.*{memory}"):
        run_theory(CONFIG, stretch, 0, state=without)
