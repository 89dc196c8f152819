"""The learning rate of an epoch: constant for some epochs, then multiplied by a factor at every further one."""

from __future__ import annotations

from tiedlm.training.config import TrainingConfig


def learning_rate(config: TrainingConfig, epoch: int) -> float:
    """Return learning_rate x decay^max(0, epoch - constant_epochs); `epoch` counts from 1."""
    return config.learning_rate * config.decay ** max(0, epoch - config.constant_epochs)
