"""What a training would cost, from what recorded trainings of networks of the same size took.

seconds = epochs x words of the training text x work a word x (recorded seconds of an epoch / (recorded words x work)).
Work a word is that of the matrix products (multiplications and additions, forward and backward), which is what differs
between the models of one size. Recorded trainings of other machines, precisions or numbers of threads are not mixed.
Without a recorded training of the size there is no estimate.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from tiedlm.corpora.parts import source_of, training_words
from tiedlm.losses.config import LossConfig
from tiedlm.models.config import LSTMConfig
from tiedlm.recipes.catalogue import recipe
from tiedlm.reproduction.collect import Row, stages
from tiedlm.reproduction.layout import Result
from tiedlm.reproduction.published import PUBLISHED
from tiedlm.reproduction.standing import machine_of
from tiedlm.training.config import Precision, RunConfig, RuntimeConfig

AUGMENTED, AUGMENTED_IN_FULL = 1.17, 1.52
"""Work of the augmented loss in units of cross-entropy's, with the gradient stopped at the soft target and through it:
1 + U / 3N and 1 + U / N with U = 361 distinct targets among the N = 700 of a window of Penn Treebank, rounded."""
THREADS = 1
"""Threads of a training that `tiedlm reproduce` begins: it trains one a core."""


@final
@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What the speed of a training depends on, its work aside."""

    machine: str
    """Model of the processor, or of the accelerator."""
    precision: str
    threads: int


@final
@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What one training would take, in one process as the recorded ones ran."""

    seconds: float
    conditions: Conditions
    """Those of the recorded trainings that it is drawn from, and holds for."""


def begun(machine: str, precision: Precision | None = None) -> Conditions:
    """Return how `tiedlm reproduce` begins a training on a machine; without a precision, the one of all recipes."""
    return Conditions(machine=machine, precision=precision or RuntimeConfig().precision, threads=THREADS)


def estimate(name: str, rows: Mapping[str, Row], wanted: Conditions) -> Estimate | None:
    """Return the cost of one training of a row's recipe; None where no training of its size was recorded.

    Args:
        name: the row.
        rows: all rows with their results.
        wanted: what to estimate for; where none of the size was recorded so, the estimate is for what comes nearest:
            the machine counts first, then precision, threads, and how many were recorded.
    """
    recorded: dict[Conditions, list[float]] = {}
    for row in rows.values():
        if row.published.size == PUBLISHED[name].size:
            for stage in (stage for result in row.results.values() for stage in stages(result)):
                recorded.setdefault(_conditions_of(stage), []).append(_seconds_a_unit(stage, row.name))
    if not recorded:
        return None
    found = max(recorded, key=lambda one: (*_alike(one, wanted), len(recorded[one])))
    config = recipe(name)
    seconds = statistics.median(recorded[found]) * work_of_an_epoch(config) * config.training.epochs
    return Estimate(seconds=seconds, conditions=found)


def _conditions_of(stage: Result) -> Conditions:
    precision, threads = stage.config["runtime"]["precision"], stage.environment["threads"]
    return Conditions(machine=machine_of(stage), precision=precision, threads=threads)


def _alike(one: Conditions, other: Conditions) -> tuple[bool, bool, bool]:
    return one.machine == other.machine, one.precision == other.precision, one.threads == other.threads


def _seconds_a_unit(stage: Result, name: str) -> float:
    epochs = [record["seconds"] for record in stage.metrics if record["event"] == "epoch"]
    return statistics.median(epochs) / work_of_an_epoch(recipe(name))


def work_of_an_epoch(config: RunConfig) -> float:
    """Return the floating-point operations of `work_a_word` for all words of the training text."""
    return (training_words(config.corpus.name) or 0) * work_a_word(config)


def work_a_word(config: RunConfig) -> float:
    """Return the floating-point operations of the matrix products for one word; 1 for a body whose count is not known.

    6 V d of the softmax layer, by the loss's factor, and 48 d^2 of each LSTM layer.
    """
    source = source_of(config.corpus.name)
    model = config.model
    if source is None or not isinstance(model, LSTMConfig):
        return 1.0
    return 6.0 * source.types * model.width * _loss_factor(config.loss) + 48.0 * model.layers * model.units**2


def _loss_factor(loss: LossConfig) -> float:
    if loss.gamma == 0:
        return 1.0
    return AUGMENTED if loss.detach_target else AUGMENTED_IN_FULL
