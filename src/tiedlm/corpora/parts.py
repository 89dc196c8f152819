"""Corpora whose training text is a stretch of another's; vocabulary, valid and test text are those of the whole.

| corpus | training text |
|---|---|
| `wikitext-2-half1` | lines 1 to 18,367 of WikiText-2's: 1,044,327 words, `<eos>` of every line counted |
| `wikitext-2-half2` | lines 18,368 to 36,718: 1,044,301 words |

The paper cuts the text in half and does not say where. Here a half ends at the end of a line, at the one nearest the
middle word; that line is within an article. Imports no numpy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from tiedlm.corpora.sources import SOURCES, Source


@final
@dataclass(frozen=True, kw_only=True)
class Part:
    """A stretch of a published corpus' training text, from the end of a line to the end of a line."""

    source: str
    """The corpus it is of."""
    start: int
    """Words before it, `<eos>` of every line counted."""
    stop: int
    """Words up to its end."""
    lines: int
    """Lines in it."""


MIDDLE = 1_044_327
"""Words of WikiText-2's training text up to the line end nearest its middle."""

PARTS = {
    "wikitext-2-half1": Part(source="wikitext-2", start=0, stop=MIDDLE, lines=18_367),
    "wikitext-2-half2": Part(source="wikitext-2", start=MIDDLE, stop=2_088_628, lines=18_351),
}


def source_of(name: str) -> Source | None:
    """Return the published corpus that the corpus `name` is, or is a part of; None for any other."""
    return SOURCES.get(PARTS[name].source if name in PARTS else name)


def training_words(name: str) -> int | None:
    """Return the words of a corpus' training text, `<eos>` of every line counted; None where they are not published."""
    if name in PARTS:
        return PARTS[name].stop - PARTS[name].start
    source = SOURCES.get(name)
    return None if source is None else source.files["train"].words_and_ends
