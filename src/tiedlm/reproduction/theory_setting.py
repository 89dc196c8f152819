"""The theory experiment: what the paper leaves open as settings, and what is kept of a run. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tiedlm.theory.weights import check_weights

if TYPE_CHECKING:
    from tiedlm.theory.collapse import Spread


@dataclass(frozen=True, kw_only=True)
class TheoryConfig:
    """One point of the figure, and how it is trained. The loss is summed over steps and averaged over streams.

    All learning rates fall in a line towards 0, from the first epoch on. Word vectors have entries of about
    1/sqrt(units), much smaller than a later layer's inputs come to be; so each kind of weight has a range of its own.
    """

    temperature: float
    """tau."""
    beta: float
    """Share of the augmented term, in [0, 1]."""
    text_words: int = 20_000
    """Words of the stretch, `<eos>` at the ends of lines included (the paper's 20,000)."""
    units: int = 300
    """Width of word vectors, layers and classifier (the paper's 300)."""
    layers: int = 2
    """LSTM layers (the paper's two)."""
    epochs: int = 120
    """Passes over the stretch."""
    streams: int = 40
    """Streams side by side (B)."""
    steps: int = 20
    """Steps of a window (T)."""
    layer_rate: float = 0.06
    """Learning rate of the LSTM layers' weights, by Muon."""
    bias_rate: float = 0.005
    """Learning rate of the LSTM layers' biases, by Adam."""
    classifier_rate: float = 0.4
    """Learning rate of classifier and bias, by stochastic gradient descent."""
    vector_rate: float = 0.0005
    """Learning rate of the word vectors, by stochastic gradient descent."""
    clip_norm: float = 50.0
    """Largest norm of the whole gradient."""
    init_range: float = 0.1
    """Biases and word vectors start uniform in (-init_range, init_range), word vectors then at norm 1."""
    word_range: float = 0.8
    """Range of the first layer's weights for its inputs, the word vectors."""
    layer_range: float = 0.3
    """Range of the other layers' weights for their inputs."""
    recurrent_range: float = 0.15
    """Range of the layers' weights for their own outputs."""
    classifier_range: float = 0.0
    """Range of the classifier; from 0 its rows move within the span of the word vectors, to first order."""
    detach_target: bool = True
    """Stop the gradient at the soft target."""

    def __post_init__(self) -> None:
        check_weights(self.temperature, self.beta)


@dataclass(frozen=True, kw_only=True)
class TheoryOutcome:
    """What a run came to; means are over the last epoch."""

    distance: float
    """Subspace distance between word vectors and classifier at the end."""
    words: int
    """V, the distinct words of the stretch."""
    vectors: Spread
    """How the word vectors lie at the end."""
    classifier: Spread
    """How the classifier's rows lie at the end."""
    feature_norm_squared: float
    """Mean |h|^2."""
    cross_entropy_nats: float
    """Mean cross-entropy a word."""
    augmented: float
    """Mean tau^2 V J_aug a word."""
