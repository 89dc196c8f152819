"""Starting points for text of one's own: the paper's small network in its four variants.

Give the text with --corpus.train, --corpus.valid and --corpus.test. Keep 0.7 suits about a million words; more text
wants a higher keep probability or more units. gamma and schedule are those of the small Penn Treebank models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from tiedlm.corpora.config import CorpusConfig
from tiedlm.recipes import ptb
from tiedlm.recipes.variants import VARIANTS
from tiedlm.runs.config import RunConfig


def own_text(name: str, variant: str) -> RunConfig:
    """Return the config of the small Penn Treebank model of that variant, for other text."""
    base = ptb.RECIPES[f"ptb-small-{variant}"]()
    return replace(base, recipe=name, corpus=UNNAMED)


UNNAMED = CorpusConfig(name="text", train="train.txt", valid="valid.txt", test="test.txt")
"""Files of the current folder, until others are given."""

RECIPES: dict[str, Callable[[], RunConfig]] = {
    (name := f"text-small-{variant}"): partial(own_text, name, variant) for variant in VARIANTS
}
