"""Small models on English that every Python brings along, quick enough to watch; one on a source of known entropy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tiedlm.corpora.config import CorpusConfig
from tiedlm.models.config import LSTMConfig
from tiedlm.recipes.variants import loss_of, model_of
from tiedlm.runs.config import LossConfig, RunConfig, RuntimeConfig, TrainingConfig

NETWORK = LSTMConfig(units=128, layers=2, keep_input=0.8, keep_hidden=0.8)
SCHEDULE = TrainingConfig(epochs=5, constant_epochs=3, decay=0.4)
RUNTIME = RuntimeConfig(threads=1)
"""One core for each of the two models, which are trained side by side."""
GAMMA = 0.5
"""The least that the paper took for the Penn Treebank: a large weight slows the first epochs."""


def demo(name: str, variant: str) -> RunConfig:
    """Return a small model on the `builtin` corpus."""
    return RunConfig(
        recipe=name,
        corpus=CorpusConfig(name="builtin", vocabulary_size=5000),
        model=model_of(variant, NETWORK),
        loss=loss_of(variant, GAMMA),
        training=SCHEDULE,
        runtime=RUNTIME,
    )


def synthetic() -> RunConfig:
    """Return a small model on the `synthetic` corpus, whose entropy is known."""
    return RunConfig(
        recipe="synthetic",
        corpus=CorpusConfig(name="synthetic"),
        model=LSTMConfig(units=64, layers=2, tied=True),
        loss=LossConfig(),
        training=TrainingConfig(epochs=12, constant_epochs=6, decay=0.5),
    )


RECIPES: dict[str, Callable[[], RunConfig]] = {
    **{(name := f"demo-{variant}"): partial(demo, name, variant) for variant in ("vd", "real")},
    "synthetic": synthetic,
}
