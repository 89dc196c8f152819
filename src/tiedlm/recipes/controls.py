"""Small Penn Treebank models that ask what the augmented loss does: one thing changed, one training.

At a temperature of 20 the soft target of these models is nearly uniform, and to first order the augmented term is a
decay of the classifier's rows in the metric of the features. So the same network is trained with a target that *is*
uniform, with a plain decay of the table, with label smoothing, and with the loss at temperatures at which the target
tells words apart. The last part of a name is the change:

    ptb-small-re-uniform               the augmented loss with a uniform target, gamma and tau as in the paper's rows
    ptb-small-re-decay1e-5             cross-entropy, and a decay of the classifier's table
    ptb-small-re-smoothing0.05         cross-entropy with label smoothing
    ptb-small-real-tau5-gamma0.2       the augmented loss at another temperature and weight
    ptb-small-re-unigram               a tied output bias that starts at the log unigrams (REAL likewise)

A decay of 1e-5 takes 1.3 % of a row in an epoch at rate 1 where the gradient is not clipped; the augmented term of
these models takes about 0.8 % in a typical direction. Three strengths are tried around that, and three of smoothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from tiedlm.recipes.ptb import GAMMA
from tiedlm.recipes.ptb import RECIPES as PTB
from tiedlm.recipes.tied_bias import with_bias
from tiedlm.recipes.variants import TEMPERATURE
from tiedlm.runs.config import LossConfig, RunConfig

DECAYS = (3e-6, 1e-5, 3e-5)
SMOOTHINGS = (0.02, 0.05, 0.1)
TEMPERATURES, GAMMAS = (5.0, 2.5), (0.65, 0.2)


def with_loss(row: str, name: str, loss: LossConfig) -> RunConfig:
    """Return the config of a row with another loss."""
    return replace(PTB[row](), recipe=name, loss=loss)


def with_table_decay(row: str, name: str, decay: float) -> RunConfig:
    """Return the config of a row with a decay of the classifier's table."""
    config = PTB[row]()
    return replace(config, recipe=name, training=replace(config.training, table_decay=decay))


def with_unigram_bias(row: str, name: str) -> RunConfig:
    """Return the config of a tied row with an output bias that starts at the log unigrams."""
    config = with_bias(row)
    return replace(config, recipe=name, model=replace(config.model, unigram_bias=True))


def _recipes() -> Iterator[tuple[str, Callable[[], RunConfig]]]:
    uniform = LossConfig(gamma=GAMMA, temperature=TEMPERATURE, target="uniform")
    for row in ("ptb-small-vd", "ptb-small-re"):
        yield (name := f"{row}-uniform"), partial(with_loss, row, name, uniform)
    for row in ("ptb-small-vd", "ptb-small-re"):
        for decay in DECAYS:
            yield (name := f"{row}-decay{decay:.0e}".replace("e-0", "e-")), partial(with_table_decay, row, name, decay)
    for row in ("ptb-small-vd", "ptb-small-re"):
        for smoothing in SMOOTHINGS:
            yield (
                (name := f"{row}-smoothing{smoothing}"),
                partial(with_loss, row, name, LossConfig(label_smoothing=smoothing)),
            )
    for row in ("ptb-small-al", "ptb-small-real"):
        for temperature in TEMPERATURES:
            for gamma in GAMMAS:
                loss = LossConfig(gamma=gamma, temperature=temperature)
                yield (name := f"{row}-tau{temperature:g}-gamma{gamma}"), partial(with_loss, row, name, loss)
    for row in ("ptb-small-re", "ptb-small-real"):
        yield (name := f"{row}-unigram"), partial(with_unigram_bias, row, name)


RECIPES: dict[str, Callable[[], RunConfig]] = dict(_recipes())
