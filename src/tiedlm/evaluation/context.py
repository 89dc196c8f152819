"""A context, that is the words before the one that is asked for: from text to words, from words to features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tiedlm.data.text import END, Vocabulary
from tiedlm.errors import CorpusError
from tiedlm.evaluation.predictions import WINDOW_STEPS
from tiedlm.nn.model import LanguageModel, State


def context_words(text: str) -> list[str]:
    """Return the words of a context, read as a text file is: blanks part words, a line feed is `<eos>`.

    Raises:
        CorpusError: a NUL, or what was no UTF-8 where it came from.
    """
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise CorpusError(f"The context {text!r} is not UTF-8. Give plain text in UTF-8.") from error
    if b"\0" in encoded:
        raise CorpusError(f"The context {text!r} has a NUL character. Give plain text.")
    return [word.decode() for word in encoded.replace(b"\n", f" {END} ".encode()).split()]


def unknown_words(vocabulary: Vocabulary, words: Sequence[str]) -> list[str]:
    """Return the distinct words that the vocabulary lacks, in order; a model reads them as `<unk>`."""
    return [word for word in dict.fromkeys(words) if word not in vocabulary.id_of]


@torch.inference_mode()
def read_context(model: LanguageModel, vocabulary: Vocabulary, words: Sequence[str]) -> tuple[Tensor, State]:
    """Return the features after `<eos>` and `words` [D], and the state; some words at a time, whatever their number."""
    ids = [vocabulary.end_id, *vocabulary.ids(words)]
    state = model.initial_state(1)
    features = torch.empty(0)
    for first in range(0, len(ids), WINDOW_STEPS):
        tokens = torch.tensor(ids[first : first + WINDOW_STEPS], device=model.classifier.device)
        features, state = model(tokens[:, None], state)
    return features[-1, 0], state
