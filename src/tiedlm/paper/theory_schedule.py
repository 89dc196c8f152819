"""The two phases of a run of the theory experiment, and the learning rates of an epoch. Imports no torch.

In the first phase the network learns the stretch by heart, with word vectors that hardly move; in the second the
vectors come together, as equation 6.1 moves them, and softmax becomes linear in what is left of their differences.
Either alone leaves more directions of the word vectors' span outside that of the classifier (`docs/reproduction.md`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class TheoryPhase:
    """Epochs under one set of rates.

    Those of layers, biases and vectors hold for the first half and then fall in a line towards 0; the classifier's
    holds to the end.
    """

    epochs: int
    """Passes over the stretch."""
    layer_rate: float
    """Learning rate of the LSTM layers' weights, by Muon."""
    bias_rate: float
    """Learning rate of the LSTM layers' biases, by Adam."""
    vectors_by: Literal["adam", "sgd"]
    """Optimiser of the word vectors: Adam, or stochastic gradient descent."""
    vector_rate: float
    """Their learning rate."""
    classifier_rate: float
    """Learning rate of classifier and bias, by stochastic gradient descent."""
    clip_norm: float
    """Largest norm of the whole gradient: so small that the tables keep their pace while the loss vanishes."""


APART = TheoryPhase(
    epochs=60,
    layer_rate=0.06,
    bias_rate=0.005,
    vectors_by="adam",
    vector_rate=1e-4,
    classifier_rate=128.0,
    clip_norm=0.3125,
)
"""The first phase."""
TOGETHER = TheoryPhase(
    epochs=40,
    layer_rate=0.03,
    bias_rate=0.0025,
    vectors_by="sgd",
    vector_rate=4.0,
    classifier_rate=32.0,
    clip_norm=1.25,
)
"""The second."""


def rate_share(epoch: int, epochs: int) -> float:
    """Return the share of the full learning rates in an epoch, from 1: whole in the first half, then down in a line."""
    return min(1.0, 2 * (epochs - epoch + 1) / (epochs + 1))
