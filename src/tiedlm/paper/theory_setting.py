"""The theory experiment: what the paper leaves open as settings, and what is kept of a run. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tiedlm.paper.theory_schedule import APART, TOGETHER, TheoryPhase, rate_share
from tiedlm.theory.weights import check_weights

if TYPE_CHECKING:
    from tiedlm.theory.collapse import Spread


@dataclass(frozen=True, kw_only=True)
class TheoryConfig:
    """One point of the figure, and how it is trained. The loss is summed over steps and averaged over streams.

    Two phases of epochs, and after the last one the classifier alone is brought to its optimum.
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
    apart: TheoryPhase = APART
    """The first phase: the stretch is learned by heart."""
    together: TheoryPhase = TOGETHER
    """The second: the word vectors come together."""
    streams: int = 40
    """Streams side by side (B)."""
    steps: int = 20
    """Steps of a window (T)."""
    init_range: float = 0.1
    """Every parameter but the classifier starts uniform in (-init_range, init_range), word vectors then at norm 1."""
    classifier_range: float = 0.0
    """The classifier starts uniform in (-classifier_range, classifier_range)."""
    detach_target: bool = False
    """Stop the gradient at the soft target; the paper's equation 6.1 differentiates it too."""
    fit_evaluations: int = 25
    """Most evaluations of the loss while the classifier alone is trained, at the end."""

    def __post_init__(self) -> None:
        check_weights(self.temperature, self.beta)

    @property
    def epochs(self) -> int:
        """Return the passes over the stretch, of both phases."""
        return self.apart.epochs + self.together.epochs

    def phase(self, epoch: int) -> tuple[TheoryPhase, float]:
        """Return the phase of an epoch, from 1, and the share of its full learning rates."""
        first = epoch <= self.apart.epochs
        phase, done = (self.apart, 0) if first else (self.together, self.apart.epochs)
        return phase, rate_share(epoch - done, phase.epochs)


@dataclass(frozen=True, kw_only=True)
class TheoryOutcome:
    """What a run came to, with the classifier at its optimum; means are over the words of the stretch."""

    distance: float
    """Subspace distance between word vectors and classifier."""
    distance_centred: float
    """The same once the mean over the words is taken off both tables: softmax does not see what all words share."""
    distance_as_trained: float
    """The same after the last epoch, before the classifier was trained alone."""
    words: int
    """V, the distinct words of the stretch."""
    vectors: Spread
    """How the word vectors lie."""
    classifier: Spread
    """How the classifier's rows lie."""
    feature_norm_squared: float
    """Mean |h|^2."""
    cross_entropy_nats: float
    """Mean cross-entropy a word."""
    augmented: float
    """Mean tau^2 V J_aug a word."""
