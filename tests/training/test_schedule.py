"""The learning rate by epoch."""

from __future__ import annotations

import pytest

from tiedlm.data.sources import CorpusConfig
from tiedlm.runs.config import RunConfig, TrainingConfig
from tiedlm.training.schedule import first_window, learning_rate


def test_constant_then_geometric() -> None:
    config = TrainingConfig(learning_rate=1.0, constant_epochs=5, decay=0.9)
    rates = [learning_rate(config, epoch) for epoch in range(1, 9)]
    assert rates[:5] == [1.0] * 5
    assert rates[5:] == pytest.approx([0.9, 0.81, 0.729], rel=1e-12)


def test_large_network_decays_from_the_second_epoch() -> None:
    config = TrainingConfig(learning_rate=1.0, constant_epochs=1, decay=0.97)
    assert learning_rate(config, 1) == 1.0
    assert learning_rate(config, 2) == pytest.approx(0.97, rel=1e-12)


def test_scales_with_the_first_rate() -> None:
    config = TrainingConfig(learning_rate=3.0, constant_epochs=0, decay=0.5)
    assert learning_rate(config, 2) == pytest.approx(0.75, rel=1e-12)


def moving(moves: bool, seed: int = 0) -> RunConfig:
    training = TrainingConfig(moving_windows=moves, steps=7)
    return RunConfig(recipe="r", corpus=CorpusConfig(name="ptb"), seed=seed, training=training)


def test_windows_move_only_where_it_is_asked_for() -> None:
    assert first_window(moving(False), 1, 1) is None


def test_every_length_of_a_first_window_comes_up_and_hangs_on_seed_training_and_epoch() -> None:
    drawn = [first_window(moving(True), 1, epoch) for epoch in range(1, 101)]
    assert set(drawn) == set(range(1, 8))
    assert drawn == [first_window(moving(True), 1, epoch) for epoch in range(1, 101)]
    assert drawn != [first_window(moving(True), 2, epoch) for epoch in range(1, 101)]
    assert drawn != [first_window(moving(True, seed=1), 1, epoch) for epoch in range(1, 101)]
