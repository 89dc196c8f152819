"""A split as the training text's own vocabulary would read it: a word that the training text lacks is `<unk>`.

A corpus' vocabulary is made of its training text, but that of a half of WikiText-2 is made of the whole one's: its
valid and test text have words that no training ever saw, and a model gives them next to nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tiedlm.data.corpus import Corpus
from tiedlm.errors import CorpusError
from tiedlm.evaluation.perplexity import Score, perplexity
from tiedlm.nn.model import LanguageModel


def own_words(corpus: Corpus, split: str) -> np.ndarray[Any, Any]:
    """Return the ids of a split [words], `<unk>` in the place of every word that the training text lacks.

    Raises:
        CorpusError: there is no such word in the split, so that nothing would be read otherwise.
    """
    ids = corpus.splits[split].ids
    seen = np.zeros(len(corpus.vocabulary), dtype=bool)
    seen[corpus.splits["train"].ids] = True
    seen[corpus.vocabulary.unknown_id] = True  # it stands for itself, in the training text or not
    if seen[ids].all():
        raise CorpusError(
            f"The training text of the corpus {corpus.name!r} has every word that the model reads in its {split} "
            "split: there is none to be read as `<unk>`. Score it as it is."
        )
    return np.where(seen[ids], ids, corpus.vocabulary.unknown_id).astype(ids.dtype)


def own_words_score(model: LanguageModel, corpus: Corpus, split: str) -> Score:
    """Return the score of a split that is read so, under the protocol of `perplexity`; raises as `own_words`."""
    vocabulary = corpus.vocabulary
    return perplexity(model, own_words(corpus, split), end_id=vocabulary.end_id, unknown_id=vocabulary.unknown_id)
