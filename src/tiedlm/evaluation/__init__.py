"""Perplexity and scoring, next words, generation, analysis of trained tables, n-gram baselines. Imports no torch.

The names of what `analyze` measures of a model's probability over a text stand here, for readers of published results.
"""

from __future__ import annotations

from tiedlm.data.text import UNKNOWN

FREQUENT_WORDS = (UNKNOWN, "a", "an", "the")
"""The words that the paper names. A measure of that name: p(w | context), over the words of the text that are not w."""
TARGET = "target"
"""The measure that is the probability of the word that came."""


def everywhere(word: str) -> str:
    """Return the name of the measure that is p(word | context) over every word of the text."""
    return f"{word}, everywhere"  # no word has a blank in it
