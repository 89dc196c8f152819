"""A run and a text → scores: of every line, of every word, and of a split as the training text's words would read it.

The vocabulary of a half of WikiText-2 is made of the whole training text, so its valid and test text have words that no
training saw, and a model gives them next to nothing; `unseen_as_unk` reads them as `<unk>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from tiedlm.data.corpus import Corpus
from tiedlm.data.sources import HALVES
from tiedlm.data.text import Vocabulary, read_chunks
from tiedlm.errors import CorpusError
from tiedlm.evaluation.perplexity import Score, exp, perplexity
from tiedlm.nn.model import LanguageModel

Windows = Iterable[tuple[Tensor, Tensor]]
"""As `word_nlls` yields them."""


class WordScore(NamedTuple):
    """One word of a text, as spelled there, and its score; line and place in the line count from 1."""

    line: int
    place: int
    word: str
    unknown: bool
    """Whether the model read `<unk>`: the vocabulary lacks the word, or the text has `<unk>` itself."""
    nll_nats: float
    """-log p of the word, or of `<unk>` in its place, after all words before it, those of earlier lines included."""


def word_scores(windows: Windows, words: Iterator[str], vocabulary: Vocabulary) -> Iterator[WordScore]:
    """Yield the score of every word of a text, from its windows and its `words` as spelled there.

    Raises:
        CorpusError: the words are not those that were scored, as the file was changed in the meantime.
    """
    line, place = 1, 0
    for targets, nlls in windows:
        for target, nll in zip(targets.tolist(), nlls.tolist(), strict=True):
            word, place = next(words, None), place + 1
            if word is None or vocabulary.id_of.get(word, vocabulary.unknown_id) != target:
                raise CorpusError(f"The text was changed while it was scored, in line {line:,}. Score it again.")
            yield WordScore(line, place, word, target == vocabulary.unknown_id, nll)
            if target == vocabulary.end_id:
                line, place = line + 1, 0


class LineScore(NamedTuple):
    """One line of a text and its score: the words, `<eos>` included, how many are `<unk>`, the sum of their -log p."""

    line: int
    words: int
    unknown: int
    nll_nats: float

    @property
    def perplexity(self) -> float:
        return exp(self.nll_nats / self.words)


def line_scores(windows: Windows, *, end_id: int, unknown_id: int) -> Iterator[LineScore]:
    """Yield the score of every line, in order, also of a last one that lacks its `<eos>`."""
    line, words, unknown, total = 1, 0, 0, 0.0
    for targets, nlls in windows:
        ends = (targets == end_id).nonzero().flatten() + 1
        parts = zip(targets.tensor_split(ends), nlls.tensor_split(ends), strict=True)
        for number, (part, part_nlls) in enumerate(parts):
            words, unknown = words + len(part), unknown + int((part == unknown_id).sum())
            total += float(part_nlls.sum())
            if number < len(ends):
                yield LineScore(line, words, unknown, total)
                line, words, unknown, total = line + 1, 0, 0, 0.0
    if words:
        yield LineScore(line, words, unknown, total)


def file_words(path: Path) -> Iterator[str]:
    """Yield the words of a text file, `<eos>` after each line; raises as `data.text.read_chunks`."""
    for words, _ in read_chunks(path):
        for word in words:
            yield word.decode()


def split_words(corpus: Corpus, split: str) -> Iterator[str]:
    """Yield the words of a corpus' split, of a part's training text those of its stretch alone."""
    words = file_words(corpus.texts[split])
    part = HALVES.get(corpus.name) if split == "train" else None
    return words if part is None else islice(words, part.start, part.stop)


def unseen_as_unk(corpus: Corpus, split: str) -> np.ndarray[Any, Any]:
    """Return the ids of a split [words], `<unk>` in the place of every word that the training text lacks.

    Raises:
        CorpusError: there is no such word in the split.
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


def unseen_as_unk_score(model: LanguageModel, corpus: Corpus, split: str) -> Score:
    vocabulary = corpus.vocabulary
    return perplexity(model, unseen_as_unk(corpus, split), end_id=vocabulary.end_id, unknown_id=vocabulary.unknown_id)
