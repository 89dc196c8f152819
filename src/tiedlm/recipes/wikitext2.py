"""The WikiText-2 rows of the paper: eight of Table 1, and eight of Table 2 on the halves of its training text.

As for Penn Treebank, with less dropout and a larger gamma. Keep probabilities 0.8 and 0.6, for all masks.
gamma = 1.25 is the middle of the stated 1.0 to 1.5; the paper gives no value a size. For the halves it states nothing,
so they are trained as the whole text is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tiedlm.corpora.config import CorpusConfig
from tiedlm.recipes.sizes import MEDIUM, SMALL, Size
from tiedlm.recipes.variants import VARIANTS, loss_of, model_of
from tiedlm.training.config import RunConfig

GAMMA = 1.25
SIZES = {"small": (SMALL, 0.8), "medium": (MEDIUM, 0.6)}
"""Size and keep probability."""
GROUPS = {
    "wikitext2-small": ("wikitext-2", *SIZES["small"]),
    "wikitext2-medium": ("wikitext-2", *SIZES["medium"]),
    "wikitext2-half1-small": ("wikitext-2-half1", *SIZES["small"]),
    "wikitext2-half2-small": ("wikitext-2-half2", *SIZES["small"]),
}
"""Name without the variant → corpus, size and keep probability."""


def wikitext2(name: str, corpus: str, size: Size, keep: float, variant: str) -> RunConfig:
    """Return the config of one row."""
    return RunConfig(
        recipe=name,
        corpus=CorpusConfig(name=corpus),
        model=model_of(variant, size.model(keep, keep)),
        loss=loss_of(variant, GAMMA),
        training=size.training,
    )


RECIPES: dict[str, Callable[[], RunConfig]] = {
    (name := f"{group}-{variant}"): partial(wikitext2, name, *GROUPS[group], variant)
    for group in GROUPS
    for variant in VARIANTS
}
