"""Two rows of Table 1 with one thing changed: a tied classifier that keeps its output bias.

The paper's section 4 drops the bias together with the classifier's table (W = L^T and b = 0). Those V numbers tell how
common each word is, which without them the norms of the shared vectors must (docs/reproduction.md). The augmented loss
has no bias either way (equation 3.1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from tiedlm.models.config import LSTMConfig
from tiedlm.recipes.ptb import RECIPES as PTB
from tiedlm.runs.config import RunConfig

SUFFIX = "-bias"
"""Ends the name of a row's recipe with an output bias."""


def with_bias(row: str) -> RunConfig:
    """Return the config of a tied row, under a name of its own and with an output bias."""
    config = PTB[row]()
    assert isinstance(config.model, LSTMConfig)
    return replace(config, recipe=row + SUFFIX, model=replace(config.model, tied_bias=True))


RECIPES: dict[str, Callable[[], RunConfig]] = {
    row + SUFFIX: partial(with_bias, row) for row in ("ptb-small-re", "ptb-small-real")
}
