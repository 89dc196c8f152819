import pytest
import torch

from tiedlm.data.text import Vocabulary
from tiedlm.nn.config import LSTMConfig
from tiedlm.nn.model import LanguageModel


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    """`<eos>`, five words, `<unk>`: ids 0 to 6."""
    return Vocabulary.from_counts({"<eos>": 9, "the": 8, "a": 7, "cat": 6, "dog": 5, "sees": 4, "<unk>": 3})


@pytest.fixture(scope="session")
def lstm(vocabulary: Vocabulary) -> LanguageModel:
    """An untrained model with large weights, so that its probabilities are far from uniform."""
    model = LanguageModel(LSTMConfig(units=5, layers=2, tied=True, init_range=1.5), len(vocabulary))
    model.reset_parameters(torch.Generator().manual_seed(4))
    return model.eval()
