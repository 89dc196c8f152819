"""Prose out of documentation: the English sentences of a docstring or of a page of the language reference.

A piece of a paragraph that ends in `. ! ? :`, or the last one without an end mark, is a sentence if it reads as English
(`_is_prose`). So signatures, tables, grammars and code that no layout announced (`paragraphs`) fall away as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tiedlm.corpora.paragraphs import paragraphs
from tiedlm.corpora.plain_words import ABBREVIATION, CODE, PUNCTUATION, plain_words

SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”)]*\s+")
NO_END = re.compile(rf"(?:{ABBREVIATION.pattern}|\b[A-Z]\.)$", re.IGNORECASE)
SENTENCE_START = re.compile(r"[(\"“'`*]*[A-Z0-9]")

FEWEST_WORDS = 3
FEWEST_WORDS_WITHOUT_END_MARK = 5
MOST_WORDS_WITHOUT_FUNCTION_WORD = 8  # a longer one is a list of names
LEAST_PLAIN_SHARE = 0.7
PLAIN_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*|N(?:-(?:[a-z]+|N))*|'[a-z]+|n't|.*\.")
ANY_WORD = re.compile(rf"{CODE}|[\w./-]*\w[\w./-]*|'[a-z]+|n't|.*\w\.")
_VERBS = """
is are was were be can could will would may might must shall should does do has have had
returns means gives specifies takes contains holds determines defaults sets controls represents
"""
_OTHER_FUNCTION_WORDS = """
the a an of to in and or for from it its this that these those with if on by not as at when which then there all any no
you we into between up out over under after before until only but one two more than using
"""
VERBS = frozenset(_VERBS.split())
FUNCTION_WORDS = VERBS | frozenset(_OTHER_FUNCTION_WORDS.split())


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a documentation text, each as words between single blanks (see `plain_words`)."""
    for paragraph in paragraphs(text):
        for piece in _pieces(paragraph):
            words = _without_outer_parentheses(plain_words(piece))
            if words and _is_prose(piece, words):
                yield " ".join(words)


def _pieces(paragraph: str) -> Iterator[str]:
    start = 0
    for match in SENTENCE_END.finditer(paragraph):
        if not NO_END.search(paragraph[start : match.start()]):
            yield paragraph[start : match.end()].strip()
            start = match.end()
    yield paragraph[start:].strip()


def _without_outer_parentheses(words: list[str]) -> list[str]:
    difference = words.count("(") - words.count(")")
    if words[:1] == ["("] and (difference == 1 or (difference == 0 and words[-1] == ")")):
        words = words[1:]
    return words[:-1] if words[-1:] == [")"] and words.count("(") < words.count(")") else words


def _is_prose(piece: str, words: list[str]) -> bool:
    inner = [word for word in words if word not in PUNCTUATION]
    plain = sum(1 for word in inner if PLAIN_WORD.fullmatch(word))
    return (
        len(inner) >= FEWEST_WORDS
        and plain >= LEAST_PLAIN_SHARE * len(inner)
        and all(ANY_WORD.fullmatch(word) for word in inner)
        and words.count("(") == words.count(")")
        and (not FUNCTION_WORDS.isdisjoint(inner) or plain == len(inner) <= MOST_WORDS_WITHOUT_FUNCTION_WORD)
        and _starts_as_sentence(piece, words)
        and _ends_as_sentence(words)
    )


def _starts_as_sentence(piece: str, words: list[str]) -> bool:
    # a name may begin in lower case: "shape is a pair" is a sentence, "shape of the polygon" the end of one
    return bool(SENTENCE_START.match(piece)) or not VERBS.isdisjoint(words[1:5])


def _ends_as_sentence(words: list[str]) -> bool:
    if words[-1].endswith((".", "!", "?", ":")):
        return True
    # the summary line of a docstring often has no full stop, but a heading or an entry of a list has none either
    long_enough = len(words) >= FEWEST_WORDS_WITHOUT_END_MARK
    return long_enough and words[-1].isalpha() and not FUNCTION_WORDS.isdisjoint(words) and ":" not in words
