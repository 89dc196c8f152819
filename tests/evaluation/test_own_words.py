"""A text read with the words of a part of the training text, against reading it under that part's own vocabulary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from support.small_text import write_texts
from support.stub_model import BigramModel
from tiedlm.data.corpus import Corpus, prepare
from tiedlm.errors import CorpusError
from tiedlm.evaluation.own_words import own_words, own_words_score
from tiedlm.evaluation.perplexity import perplexity

PART = 40
"""Words of the training text that are left."""


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """One whose training text is the beginning of the whole one's, as that of a half is."""
    whole = prepare(write_texts(tmp_path), cache_dir=tmp_path / "cache")
    train = whole.splits["train"]
    return replace(whole, splits=whole.splits | {"train": replace(train, ids=train.ids[:PART], words=PART)})


def test_words_that_the_part_lacks_are_unknown_and_the_others_stay(corpus: Corpus) -> None:
    vocabulary = corpus.vocabulary
    text = [vocabulary.words[number] for number in corpus.splits["test"].ids]
    known = {vocabulary.words[number] for number in corpus.splits["train"].ids}
    assert 0 < len(set(text) - known) < len(set(text))
    expected = vocabulary.ids(word if word in known else "<unk>" for word in text)
    found = own_words(corpus, "test")
    assert found.tolist() == expected
    assert found.dtype == corpus.splits["test"].ids.dtype


def test_the_score_is_that_of_the_text_so_read(corpus: Corpus) -> None:
    words = len(corpus.vocabulary)
    probabilities = torch.rand(words, words, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.1
    model = BigramModel(probabilities / probabilities.sum(1, keepdim=True))
    ids = {"end_id": corpus.vocabulary.end_id, "unknown_id": corpus.vocabulary.unknown_id}
    found = own_words_score(model, corpus, "valid")
    assert found == perplexity(model, own_words(corpus, "valid"), **ids)
    plain = perplexity(model, corpus.splits["valid"].ids, **ids)
    assert (found.words, plain.unknown) == (plain.words, 0)
    seen = np.isin(corpus.splits["valid"].ids, corpus.splits["train"].ids)
    assert found.unknown == np.count_nonzero(~seen)
    assert found.perplexity != pytest.approx(plain.perplexity, rel=1e-3)


def test_a_text_without_such_words_is_refused(corpus: Corpus) -> None:
    with pytest.raises(CorpusError, match="the corpus 'text' has every word that the model reads in its train split"):
        own_words(corpus, "train")
