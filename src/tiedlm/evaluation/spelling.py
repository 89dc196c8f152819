"""Scored words as the text spells them: a word that the vocabulary lacks is `<unk>` to the model, not to a reader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tiedlm.data.corpus import Corpus
from tiedlm.data.sources import HALVES
from tiedlm.data.text import Vocabulary, read_chunks
from tiedlm.errors import CorpusError
from tiedlm.evaluation.lines import WordScore


class SpelledScore(NamedTuple):
    """One word of a text as it is spelled there, and its score."""

    line: int
    """The line it stands in, from 1."""
    place: int
    """Its place in the line, from 1; `<eos>` has the last."""
    word: str
    """The word as the text has it."""
    unknown: bool
    """Whether the model read `<unk>`: the vocabulary lacks the word, or the text has `<unk>` itself."""
    nll_nats: float
    """-log p of the word, or of `<unk>` in its place."""


def spelled_scores(scores: Iterable[WordScore], words: Iterator[str], vocabulary: Vocabulary) -> Iterator[SpelledScore]:
    """Yield each score with its word from `words`, which are those of the scored text in order.

    Raises:
        CorpusError: the words are not those that were scored, as the file was changed in the meantime.
    """
    unknown = vocabulary.unknown_id
    for score in scores:
        word = next(words, None)
        if word is None or vocabulary.id_of.get(word, unknown) != score.id:
            raise CorpusError(f"The text was changed while it was scored, in line {score.line:,}. Score it again.")
        yield SpelledScore(score.line, score.place, word, score.id == unknown, score.nll_nats)


def spelled_words(path: Path) -> Iterator[str]:
    """Yield the words of a text file, `<eos>` after each line; raises as `data.text.read_chunks`."""
    for words, _ in read_chunks(path):
        for word in words:
            yield word.decode()


def split_words(corpus: Corpus, split: str) -> Iterator[str]:
    """Yield the words of a corpus' split, of a part's training text those of its stretch alone."""
    words = spelled_words(corpus.texts[split])
    part = HALVES.get(corpus.name) if split == "train" else None
    return words if part is None else islice(words, part.start, part.stop)
