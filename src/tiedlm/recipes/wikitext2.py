"""The WikiText-2 rows of the paper: eight of Table 1, and eight of Table 2 on the halves of its training text.

As for Penn Treebank, with less dropout and a larger gamma. Keep probabilities 0.8 and 0.6, for all masks.
gamma = 1.25 is the middle of the stated 1.0 to 1.5; the paper gives no value a size. For the halves it states nothing.
They are as long as the Penn Treebank and have its keep probabilities, 0.85 and 0.7: with 0.8 the network learns a half
by heart (docs/reproduction.md).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tiedlm.corpora.config import CorpusConfig
from tiedlm.recipes.sizes import MEDIUM, SMALL, Size
from tiedlm.recipes.variants import VARIANTS, loss_of, model_of
from tiedlm.runs.config import RunConfig

GAMMA = 1.25
SIZES = {"small": (SMALL, 0.8, 0.8), "medium": (MEDIUM, 0.6, 0.6), "half": (SMALL, 0.85, 0.7)}
"""Size, and keep probabilities of the word vectors and of all else."""
GROUPS = {
    "wikitext2-small": ("wikitext-2", *SIZES["small"]),
    "wikitext2-medium": ("wikitext-2", *SIZES["medium"]),
    "wikitext2-half1-small": ("wikitext-2-half1", *SIZES["half"]),
    "wikitext2-half2-small": ("wikitext-2-half2", *SIZES["half"]),
}
"""Name without the variant → corpus, size and keep probabilities."""


def wikitext2(name: str, corpus: str, size: Size, keep_input: float, keep_hidden: float, variant: str) -> RunConfig:
    """Return the config of one row."""
    return RunConfig(
        recipe=name,
        corpus=CorpusConfig(name=corpus),
        model=model_of(variant, size.model(keep_input, keep_hidden)),
        loss=loss_of(variant, GAMMA),
        training=size.training,
    )


RECIPES: dict[str, Callable[[], RunConfig]] = {
    (name := f"{group}-{variant}"): partial(wikitext2, name, *GROUPS[group], variant)
    for group in GROUPS
    for variant in VARIANTS
}
