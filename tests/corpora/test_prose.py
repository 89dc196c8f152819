from __future__ import annotations

import textwrap

import pytest

from tiedlm.corpora.prose import sentences


def found(text: str) -> list[str]:
    return list(sentences(textwrap.dedent(text)))


def test_a_docstring_leaves_its_sentences() -> None:
    text = """
        wait(timeout=None) -> bool

        Block until the event is set, e.g. by another thread. Returns
        True if it was set.  (There is no limit.)

            >>> event.wait()
            True

        Arguments:
            timeout -- The time to wait, in seconds.
            other: int

        ======  ======
        Name    Value
        ======  ======
        a       1

        expression ::= "a" | "b"
    """
    assert found(text) == [
        "block until the event is set , e.g. by another thread .",
        "returns true if it was set .",
        "there is no limit .",
        "the time to wait , in seconds .",
    ]


@pytest.mark.parametrize(
    "piece",
    [
        "Return the size of the file.",
        "Is this the end of the line?",
        "The following names are known:",
        "Lock the mailbox.",
        "shape is a pair of numbers.",
        "Return a distinct copy of the current font",
        "Replace `&` and `<` in the text.",
        "3 is the largest of the numbers.",
    ],
)
def test_sentences_are_kept(piece: str) -> None:
    assert len(found(piece)) == 1


@pytest.mark.parametrize(
    "piece",
    [
        "See also:",
        "shape of the polygon that was drawn.",
        "x = f(a) + 1",
        "if a >= b then the first is returned.",
        "Return [a, b] for the list.",
        "The method_a, method_b, method_c, method_d and method_e.",
        "Tkinter Widget Font Image Canvas Frame",
        "A table of names: first second third",
        "Return the first of the",
        "(Return the first (of the two.",
        "Valid resource names: background, border, class, cursor, font, height, width, relief.",
        "for the name in",
    ],
)
def test_what_is_no_sentence_falls_away(piece: str) -> None:
    assert found(piece) == (["return the first of the"] if piece.endswith("first of the") else [])


def test_abbreviations_and_initials_end_no_sentence() -> None:
    text = "This is by J. Smith et al. and Dr. Miller, i.e. By two people. It is old."
    assert found(text) == ["this is by j . smith et al. and dr. miller , i.e. by two people .", "it is old ."]
