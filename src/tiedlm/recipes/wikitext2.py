"""The eight WikiText-2 rows of the paper's Table 1: as for Penn Treebank, with less dropout and a larger gamma.

Keep probabilities 0.8 and 0.6, for all masks. gamma = 1.25 is the middle of the stated 1.0 to 1.5; the paper
gives no value a size.
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


def wikitext2(name: str, size: Size, keep: float, variant: str) -> RunConfig:
    """Return the config of one row."""
    return RunConfig(
        recipe=name,
        corpus=CorpusConfig(name="wikitext-2"),
        model=model_of(variant, size.model(keep, keep)),
        loss=loss_of(variant, GAMMA),
        training=size.training,
    )


RECIPES: dict[str, Callable[[], RunConfig]] = {
    (name := f"wikitext2-{size}-{variant}"): partial(wikitext2, name, *SIZES[size], variant)
    for size in SIZES
    for variant in VARIANTS
}
