from __future__ import annotations

import textwrap

import pytest

from tiedlm.corpora.paragraphs import paragraphs


def found(text: str) -> list[str]:
    return list(paragraphs(textwrap.dedent(text)))


def test_lines_of_a_paragraph_are_joined_and_blank_lines_part_them() -> None:
    assert found("one\ntwo\n\n\nthree\n  \nfour") == ["one two", "three", "four"]
    assert found("a read-\nonly value - \nnot") == ["a read-only value - not"]


def test_bullets_part_paragraphs_and_go() -> None:
    text = """
        * one
          goes on
        - two
        1. three
        (2) four
    """
    assert found(text) == ["one goes on", "two", "three", "four"]


def test_indentation_parts_paragraphs_unless_it_hangs() -> None:
    assert found("The end.\n    Deeper.\nBack.") == ["The end.", "Deeper.", "Back."]
    assert found("It goes\n    on here.\nNext.") == ["It goes on here.", "Next."]


@pytest.mark.parametrize("label", ["timeout: ", "timeout -- ", "*timeout* - ", "'timeout': ", "wait(timeout) -- "])
def test_a_label_goes(label: str) -> None:
    assert found(f"{label}How long\nto wait.") == ["How long to wait."]


def test_a_colon_within_a_sentence_is_no_label() -> None:
    assert found("It returns one of these: A or B.") == ["It returns one of these: A or B."]
    assert found("timeout: how long") == ["timeout: how long"]


def test_a_literal_block_goes_with_all_that_is_as_deep() -> None:
    text = """
        Before::

            code

              deeper

            more code

        After.
    """
    assert found(text) == ["Before::", "After."]


def test_doctests_directives_and_fields_end_their_block() -> None:
    assert found("Try:\n>>> f(1)\n2\n\nAfter.") == ["Try:", "After."]
    assert found("    >>> f(1)\n    2") == []
    assert found(".. note:: x\n   y\n\nAfter.") == ["After."]
    assert found("Before.\n:param x: a number\n    that is\n\nAfter.") == ["Before.", "After."]
    assert found("Before.\n@param x: a number") == ["Before."]


@pytest.mark.parametrize("underline", ["=====", "---", "*******", "....."])
def test_titles_go(underline: str) -> None:
    assert found(f"A title\n{underline}\n\nText\nof it.") == ["Text of it."]
