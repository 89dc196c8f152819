"""The score of every line and of every word: the windows of `word_nlls` regrouped, one window in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from torch import Tensor

from tiedlm.evaluation.perplexity import exp

Windows = Iterable[tuple[Tensor, Tensor]]
"""Word ids and their -log p in nats, window by window, as `word_nlls` yields them."""


class WordScore(NamedTuple):
    """One word of a text and its score."""

    line: int
    """The line it stands in, from 1."""
    place: int
    """Its place in the line, from 1; `<eos>` has the last."""
    id: int
    """Its id in the vocabulary."""
    nll_nats: float
    """-log p of the word after all words before it, those of earlier lines included."""


class LineScore(NamedTuple):
    """One line of a text and its score."""

    line: int
    """Its number, from 1."""
    words: int
    """Words that were scored, `<eos>` included."""
    unknown: int
    """Of them `<unk>`."""
    nll_nats: float
    """Sum of -log p over its words."""

    @property
    def perplexity(self) -> float:
        """exp(nll_nats / words)."""
        return exp(self.nll_nats / self.words)


def word_scores(windows: Windows, *, end_id: int) -> Iterator[WordScore]:
    """Yield the score of every word, in order; their `nll_nats` sum to that of the text."""
    line, place = 1, 0
    for targets, nlls in windows:
        for word, nll in zip(targets.tolist(), nlls.tolist(), strict=True):
            place += 1
            yield WordScore(line, place, word, nll)
            if word == end_id:
                line, place = line + 1, 0


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
