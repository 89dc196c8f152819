"""The learning rate by epoch."""

from __future__ import annotations

import pytest

from tiedlm.training.config import TrainingConfig
from tiedlm.training.schedule import learning_rate


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
