"""The work of a training: operations of its matrix products (multiplications and additions, forward and backward).

By it what one training took is carried over to another one, of another loss, vocabulary, text or size.
"""

from __future__ import annotations

from tiedlm.data.sources import source_of, training_words
from tiedlm.nn.config import LSTMConfig, ModelConfig, RHNConfig
from tiedlm.runs.config import LossConfig, RunConfig

AUGMENTED, AUGMENTED_IN_FULL = 1.17, 1.52
"""Work of the augmented loss in units of cross-entropy's, with the gradient stopped at the soft target and through it:
1 + U / 3N and 1 + U / N with U = 361 distinct targets among the N = 700 of a window of Penn Treebank, rounded."""


def work_of_a_training(config: RunConfig) -> float:
    """Return the operations of all epochs of a training."""
    return work_of_an_epoch(config) * config.training.epochs


def work_of_an_epoch(config: RunConfig) -> float:
    """Return the operations of `work_a_word` for all words of the training text."""
    return (training_words(config.corpus.name) or 0) * work_a_word(config)


def work_a_word(config: RunConfig) -> float:
    """Return the operations for one word; 1 for a body or a text whose count is not known.

    6 V D of the softmax layer, by the loss's factor, and those of the layers.
    """
    source, layers = source_of(config.corpus.name), _of_layers(config.model)
    if source is None or layers is None:
        return 1.0
    return 6.0 * source.vocab_size * _features(config.model) * _loss_factor(config.loss) + layers


def _of_layers(model: ModelConfig) -> float | None:
    """48 H^2 of an LSTM layer; 12 H (H + L H) of a recurrent highway layer of depth L, as wide as its input."""
    if isinstance(model, LSTMConfig):
        return 48.0 * model.layers * model.units**2
    if isinstance(model, RHNConfig):
        return 12.0 * model.layers * (1 + model.depth) * model.units**2
    return None


def _features(model: ModelConfig) -> int:
    return model.units if isinstance(model, RHNConfig) else model.width


def _loss_factor(loss: LossConfig) -> float:
    if loss.gamma == 0:
        return 1.0
    return AUGMENTED if loss.detach_target else AUGMENTED_IN_FULL
