"""From a config to a model: the only list of models."""

from __future__ import annotations

from tiedlm.models.config import GRUConfig, LSTMConfig, ModelConfig
from tiedlm.models.contract import LanguageModel
from tiedlm.models.gru import GRULanguageModel
from tiedlm.models.lstm import LSTMLanguageModel
from tiedlm.models.rhn import RHNLanguageModel


def build_model(config: ModelConfig, words: int) -> LanguageModel:
    """Return the model that `config` describes, for a vocabulary of `words` words."""
    if isinstance(config, LSTMConfig):
        return LSTMLanguageModel(config, words)
    if isinstance(config, GRUConfig):
        return GRULanguageModel(config, words)
    return RHNLanguageModel(config, words)
