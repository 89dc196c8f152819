from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiedlm.corpora.text import END, UNKNOWN
from tiedlm.corpora.vocabulary import Vocabulary
from tiedlm.errors import CorpusError

COUNTS = {"the": 5, "cat": 2, "a": 2, END: 3, "sat": 1, "Zoo": 1}
WORDS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1)


def test_most_frequent_first_and_ties_by_the_word() -> None:
    vocabulary = Vocabulary.from_counts(COUNTS)
    assert vocabulary.words == ("the", END, "a", "cat", "Zoo", "sat", UNKNOWN)
    assert vocabulary.counts == (5, 3, 2, 2, 1, 1, 0)
    assert len(vocabulary) == 7
    assert (vocabulary.end_id, vocabulary.unknown_id) == (1, 6)
    assert vocabulary.id_of["cat"] == 3


def test_a_size_keeps_the_most_frequent_and_counts_the_rest_as_unknown() -> None:
    vocabulary = Vocabulary.from_counts({**COUNTS, UNKNOWN: 1}, size=4)
    assert vocabulary.words == (UNKNOWN, "the", END, "a")  # 1 + 2 + 1 + 1 unknown: a tie with "the"
    assert vocabulary.counts == (5, 5, 3, 2)


def test_a_size_above_the_distinct_words_keeps_all() -> None:
    assert Vocabulary.from_counts(COUNTS, size=99) == Vocabulary.from_counts(COUNTS)
    assert Vocabulary.from_counts(COUNTS, size=7) == Vocabulary.from_counts(COUNTS)
    assert len(Vocabulary.from_counts(COUNTS, size=6)) == 6


def test_special_words_stay_however_rare_they_are() -> None:
    vocabulary = Vocabulary.from_counts({"a": 9, "b": 8, "c": 7, END: 1}, size=3)
    assert vocabulary.words == (UNKNOWN, "a", END)  # 8 + 7 words were cut off
    assert vocabulary.counts == (15, 9, 1)


def test_a_size_below_three() -> None:
    with pytest.raises(CorpusError) as raised:
        Vocabulary.from_counts(COUNTS, size=2)
    assert str(raised.value) == "The vocabulary's size is 2, but must be 3 or more (`<unk>`, `<eos>`, a word)."


def test_ids_of_words_inside_and_outside() -> None:
    vocabulary = Vocabulary.from_counts(COUNTS)
    assert vocabulary.ids(["the", "dog", "cat", UNKNOWN, END]) == [0, 6, 3, 6, 1]
    assert vocabulary.ids([]) == []


@given(st.dictionaries(WORDS, st.integers(1, 50)), st.none() | st.integers(3, 9))
def test_words_and_vocabularies_come_back(counts: dict[str, int], size: int | None) -> None:
    vocabulary = Vocabulary.from_counts(counts, size)
    assert [vocabulary.words[number] for number in vocabulary.ids(vocabulary.words)] == list(vocabulary.words)
    assert sum(vocabulary.counts) == sum(counts.values())
    again = Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json())))
    assert again == vocabulary
    assert again.sha256 == vocabulary.sha256


def test_the_sha256_changes_with_words_and_counts() -> None:
    hashes = {
        Vocabulary.from_counts(counts).sha256
        for counts in (COUNTS, {**COUNTS, "the": 6}, {**COUNTS, "dog": 1}, {**COUNTS, UNKNOWN: 1})
    }
    assert len(hashes) == 4


def test_a_vocabulary_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Vocabulary.from_counts(COUNTS).words = ()  # pyright: ignore[reportAttributeAccessIssue]


def changed(**fields: Any) -> dict[str, Any]:
    value = {**Vocabulary.from_counts(COUNTS).to_json(), **fields}
    return {name: field for name, field in value.items() if field is not None}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "A vocabulary must be an object with version, words, counts, but is list."),
        (
            changed(version=2),
            "The vocabulary has version 2; this tiedlm reads version 1. Update tiedlm, or prepare the corpus anew.",
        ),
        (
            changed(version=None),
            "The vocabulary has version None; this tiedlm reads version 1. Update tiedlm, or prepare the corpus anew.",
        ),
        (changed(count=[1]), "A vocabulary has no field 'count'. Did you mean 'counts'?"),
        (changed(words=None), "The vocabulary's 'words' must be a list of str."),
        (changed(words=[1, 2]), "The vocabulary's 'words' must be a list of str."),
        (changed(counts=[1.5]), "The vocabulary's 'counts' must be a list of int."),
        (changed(counts=[True]), "The vocabulary's 'counts' must be a list of int."),
        (changed(counts=[5]), "A vocabulary needs one count a word, but has 7 words and 1 counts."),
        (
            changed(words=["the", END, "a", "a", "Zoo", "sat", UNKNOWN]),
            "The vocabulary has the word 'a' twice.",
        ),
        (
            changed(words=["the", END, "a", "cat", "Zoo", "sat", "z"]),
            "The vocabulary lacks '<unk>', which every vocabulary has.",
        ),
        (
            changed(words=["the", "d", "a", "cat", "Zoo", "sat", UNKNOWN]),
            "The vocabulary lacks '<eos>', which every vocabulary has.",
        ),
        (changed(counts=[5, 3, 2, 2, 1, 1, -1]), "The vocabulary has a count below zero."),
        (
            changed(counts=[5, 3, 2, 2, 1, 1, 1]),
            "The vocabulary is not in order: most frequent first, ties by the word.",
        ),
        (
            changed(words=["the", END, "cat", "a", "Zoo", "sat", UNKNOWN]),
            "The vocabulary is not in order: most frequent first, ties by the word.",
        ),
    ],
)
def test_a_damaged_vocabulary(value: Any, message: str) -> None:
    with pytest.raises(CorpusError) as raised:
        Vocabulary.from_json(value)
    assert str(raised.value) == message


@pytest.mark.parametrize("word", ["", "a b", "a\n", "\ud800", "a\0"])
def test_a_vocabulary_with_something_that_is_no_word(word: str) -> None:
    with pytest.raises(CorpusError) as raised:
        Vocabulary.from_json(changed(words=["the", END, "a", "cat", word, "sat", UNKNOWN]))
    assert str(raised.value) == (
        f"The vocabulary has {word!r}, which is no word: it is empty, or has a blank or a character that no text can "
        "have."
    )
