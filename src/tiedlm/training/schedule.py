"""What an epoch's number decides: the learning rate, and where the windows begin."""

from __future__ import annotations

from tiedlm.runs.config import RunConfig, TrainingConfig
from tiedlm.seeding import derive


def learning_rate(config: TrainingConfig, epoch: int) -> float:
    """Return learning_rate x decay^max(0, epoch - constant_epochs); `epoch` counts from 1."""
    return config.learning_rate * config.decay ** max(0, epoch - config.constant_epochs)


def first_window(config: RunConfig, generation: int, epoch: int) -> int | None:
    """Return the words of an epoch's first window, from 1 to `steps`, or None where windows do not move.

    With windows that never move, a word near the start of one is always learned with the little history that gradients
    can flow through there, and always beside the same neighbours under one mask.
    """
    if not config.training.moving_windows:
        return None
    return 1 + derive(config.seed, f"first window of training {generation}", epoch) % config.training.steps
