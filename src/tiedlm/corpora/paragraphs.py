"""Layout: the paragraphs of a documentation text, told from what is no prose by the way it is set.

A paragraph is a run of lines between blank lines, bullets and changes of indentation. Doctests, literal blocks (after
`::`), titles with the line under them, directives and field lists are no paragraphs, to the end of their block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

BULLET = re.compile(r"\A(?:[-*+•]|\(?(?:\d{1,2}|[a-z])[.)])\s+")
LABEL = re.compile(r"\A[*`'\"]*[\w.]+[*`'\"]*(?:\([^)]*\))?\s*(?::|--?)\s+(?=[A-Z])")
UNDERLINE = re.compile(r"\s*([=~*^#+_.\"'-])\1{2,}\s*")
NO_PROSE = re.compile(r"\s*(?:>>>|\.\. |:\w[\w ]*:(?:\s|$)|@\w)")
BROKEN_WORD = re.compile(r"(?<=[a-z]-)\n(?=[a-z])")


def paragraphs(text: str) -> Iterator[str]:
    """Yield the paragraphs of a text without indentation, each on one line, without its bullet or label.

    A label names what the paragraph is about, as `timeout` in `timeout -- How long to wait.`
    """
    literal_below: int | None = None  # indentation of a line that ended in `::`
    for block in re.split(r"\n\s*\n", text.expandtabs().strip("\n")):
        lines = block.split("\n")
        if literal_below is not None and _indentation(lines[0]) > literal_below:
            continue
        literal_below = _indentation(lines[-1]) if lines[-1].rstrip().endswith("::") else None
        yield from map(_joined, _grouped(_set_as_prose(lines)))


def _set_as_prose(lines: list[str]) -> list[str]:
    kept: list[str] = []
    for line in lines:
        if NO_PROSE.match(line):
            break
        if UNDERLINE.fullmatch(line):
            del kept[-1:]  # the title above it
        else:
            kept.append(line)
    return kept


def _grouped(lines: list[str]) -> Iterator[list[str]]:
    group: list[str] = []
    for line in lines:
        if group and _starts_paragraph(line, group[-1]):
            yield group
            group = []
        group.append(line)
    if group:
        yield group


def _starts_paragraph(line: str, previous: str) -> bool:
    step = _indentation(line) - _indentation(previous)
    # a deeper line goes on with its paragraph (a hanging indent), unless that had come to an end
    deeper = step > 0 and previous.rstrip().endswith((".", ":", "!", "?"))
    return step < 0 or deeper or bool(BULLET.match(line.strip()))


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _joined(lines: list[str]) -> str:
    text = BROKEN_WORD.sub("", "\n".join(line.strip() for line in lines)).replace("\n", " ")
    return LABEL.sub("", BULLET.sub("", text))
