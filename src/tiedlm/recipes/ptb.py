"""The twelve Penn Treebank rows of the paper's Table 1.

Keep probabilities 0.7, 0.5, 0.35 (the paper prints them as dropout probabilities; as such no row could be trained).
gamma = 0.65 is the middle of the stated 0.5 to 0.8; the paper gives no value a size.
The small AL, RE and REAL rows of the paper are after a second training from their own weights (`--from RUN`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tiedlm.corpora.config import CorpusConfig
from tiedlm.recipes.sizes import LARGE, MEDIUM, SMALL, Size
from tiedlm.recipes.variants import VARIANTS, loss_of, model_of
from tiedlm.training.config import RunConfig

GAMMA = 0.65
SIZES = {"small": (SMALL, 0.7), "medium": (MEDIUM, 0.5), "large": (LARGE, 0.35)}
"""Size and keep probability."""


def ptb(name: str, size: Size, keep: float, variant: str) -> RunConfig:
    """Return the config of one row."""
    return RunConfig(
        recipe=name,
        corpus=CorpusConfig(name="ptb"),
        model=model_of(variant, size.model(keep)),
        loss=loss_of(variant, GAMMA),
        training=size.training,
    )


RECIPES: dict[str, Callable[[], RunConfig]] = {
    (name := f"ptb-{size}-{variant}"): partial(ptb, name, *SIZES[size], variant)
    for size in SIZES
    for variant in VARIANTS
}
