"""From a config to a model: the only list of models."""

from __future__ import annotations

from tiedlm.models.config import LSTMConfig
from tiedlm.models.contract import LanguageModel
from tiedlm.models.lstm import LSTMLanguageModel


def build_model(config: LSTMConfig, words: int) -> LanguageModel:
    """Return the model that `config` describes, for a vocabulary of `words` words."""
    return LSTMLanguageModel(config, words)
