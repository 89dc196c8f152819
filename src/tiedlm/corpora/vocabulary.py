"""The closed vocabulary: every word the model knows, with its id and its count in the training text."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from tiedlm.corpora.text import END, UNKNOWN
from tiedlm.errors import CorpusError, suggestion

VOCABULARY_VERSION = 1


@final
@dataclass(frozen=True)
class Vocabulary:
    """Words by id, most frequent first, ties by the word; `<unk>` and `<eos>` are always among them.

    A word's id is its place. `<unk>` stands for every word outside the vocabulary; `<eos>` ends every line.

    Raises:
        CorpusError: lengths that differ, a word twice, no word or with a blank, a special word missing, a count below
            zero, or another order.
    """

    words: tuple[str, ...]
    """The word of each id [V]."""
    counts: tuple[int, ...]
    """How often the training text has each word [V]; what the size cut off counts as `<unk>`."""

    def __post_init__(self) -> None:
        _check(self.words, self.counts)

    @classmethod
    def from_counts(cls, counts: Mapping[str, int], size: int | None = None) -> Vocabulary:
        """Return the vocabulary of a training text.

        Args:
            counts: how often the text has each word, `<eos>` once a line included.
            size: words to keep, `<unk>` and `<eos>` included: these two and the most frequent others; None keeps all.
        """
        if size is not None and size < 3:
            raise CorpusError(f"The vocabulary's size is {size}, but must be 3 or more (`<unk>`, `<eos>`, a word).")
        kept = {UNKNOWN: counts.get(UNKNOWN, 0), END: counts.get(END, 0)}
        others = sorted((-count, word) for word, count in counts.items() if word not in kept)
        stop = len(others) if size is None else size - len(kept)
        kept |= {word: -negative for negative, word in others[:stop]}
        kept[UNKNOWN] -= sum(negative for negative, _ in others[stop:])
        words = sorted(kept, key=lambda word: (-kept[word], word))
        return cls(tuple(words), tuple(kept[word] for word in words))

    def __len__(self) -> int:
        """Return V, the number of words."""
        return len(self.words)

    @cached_property
    def id_of(self) -> dict[str, int]:
        """The id of each word in the vocabulary; do not change it."""
        return {word: number for number, word in enumerate(self.words)}

    @property
    def unknown_id(self) -> int:
        """The id of `<unk>`."""
        return self.id_of[UNKNOWN]

    @property
    def end_id(self) -> int:
        """The id of `<eos>`."""
        return self.id_of[END]

    def ids(self, words: Iterable[str]) -> list[int]:
        """Return the id of each word, that of `<unk>` for a word outside the vocabulary."""
        unknown = self.unknown_id
        return [self.id_of.get(word, unknown) for word in words]

    @cached_property
    def sha256(self) -> str:
        """The sha256 of words and counts: equal if and only if the vocabularies are."""
        content = json.dumps([VOCABULARY_VERSION, self.words, self.counts], ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return the vocabulary as plain JSON values, with a version."""
        return {"version": VOCABULARY_VERSION, "words": list(self.words), "counts": list(self.counts)}

    @classmethod
    def from_json(cls, value: Any) -> Vocabulary:
        """Return the vocabulary that `to_json` turned into `value`.

        Raises:
            CorpusError: a newer version, missing or unknown fields, values of a wrong type, or a content that the
                class refuses.
        """
        fields = ("version", "words", "counts")
        if not isinstance(value, dict):
            raise CorpusError(
                f"A vocabulary must be an object with {', '.join(fields)}, but is {type(value).__name__}."
            )
        if (version := value.get("version")) != VOCABULARY_VERSION:
            raise CorpusError(
                f"The vocabulary has version {version!r}; this tiedlm reads version {VOCABULARY_VERSION}. "
                "Update tiedlm, or prepare the corpus anew."
            )
        for name in value:
            if name not in fields:
                raise CorpusError(f"A vocabulary has no field {name!r}.{suggestion(name, fields)}")
        for name, kind in (("words", str), ("counts", int)):
            items = value.get(name)
            if not isinstance(items, list) or not all(type(item) is kind for item in items):
                raise CorpusError(f"The vocabulary's {name!r} must be a list of {kind.__name__}.")
        return cls(tuple(value["words"]), tuple(value["counts"]))


def _check(words: tuple[str, ...], counts: tuple[int, ...]) -> None:
    if len(words) != len(counts):
        raise CorpusError(
            f"A vocabulary needs one count a word, but has {len(words):,} words and {len(counts):,} counts."
        )
    if len(set(words)) != len(words):
        double = next(word for word, times in Counter(words).items() if times > 1)
        raise CorpusError(f"The vocabulary has the word {double!r} twice.")
    for special in (UNKNOWN, END):
        if special not in words:
            raise CorpusError(f"The vocabulary lacks {special!r}, which every vocabulary has.")
    if any(count < 0 for count in counts):
        raise CorpusError("The vocabulary has a count below zero.")
    for word in words:
        if not _is_word(word):
            raise CorpusError(
                f"The vocabulary has {word!r}, which is no word: it is empty, or has a blank or a character that no "
                "text can have."
            )
    keys = [(-count, word) for word, count in zip(words, counts, strict=True)]
    if keys != sorted(keys):
        raise CorpusError("The vocabulary is not in order: most frequent first, ties by the word.")


def _is_word(word: str) -> bool:
    try:
        encoded = word.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can hold and UTF-8 cannot
        return False
    return encoded.split() == [encoded] and b"\0" not in encoded
