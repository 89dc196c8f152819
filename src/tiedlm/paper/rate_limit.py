"""Whether trainings had come to their end: the validation perplexity of the last epochs against the learning rate.

The paper does not say how many epochs it trained. The learning rate falls by a factor every epoch, and towards the end
the perplexity after an epoch lies on a line in the rate of that epoch,

    perplexity = at rate 0 + slope x rate,

so the line tells how much of the way was left when a training stopped: `at rate 0` is where more epochs of the same
schedule would lead.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from tiedlm.config import from_json
from tiedlm.paper.collect import Row
from tiedlm.paper.grid import Grid
from tiedlm.paper.layout import Result
from tiedlm.paper.samples import Sample
from tiedlm.paper.tables import value
from tiedlm.runs.config import TrainingConfig
from tiedlm.training.schedule import learning_rate

EPOCHS = 16
"""How many of the last epochs the line goes through."""

TITLE = "Were the trainings long enough? Validation perplexity as the learning rate goes to 0"
READING = f"""\
The perplexity of the last {EPOCHS} epochs of each training, as a line in the learning rate (least squares): "at rate 0"
is where the line meets a rate of 0, and "left" is how far below the last epoch that is. It is drawn out beyond what was
trained, so it tells which trainings had farther to go, and is no result."""

Limit = tuple[Sample, Sample, Sample]
"""Over seeds: perplexity after the last epoch, at rate 0, and the first less the second."""


def rate_limit_table(rows: Mapping[str, Row]) -> Grid:
    """Return the table to read; no row: no training has had so many epochs under a falling rate."""
    headings = ("recipe", "training", "seeds", "epochs", "last rate", "valid, last epoch", "at rate 0", "left")
    found = [_cells(*one) for one in _found(rows)]
    return Grid(title=TITLE, headings=headings, align="lrrrrrrr", rows=found)


def rate_limit_csv(rows: Mapping[str, Row]) -> Grid:
    """Return the same figures to compute with."""
    figures = [f"{what}_{part}" for what in ("last", "limit", "left") for part in ("mean", "sd")]
    headings = ("recipe", "training", "seeds", "epochs", "last_rate", *figures)
    found = [_values(*one) for one in _found(rows)]
    return Grid(title=TITLE, headings=headings, align="l" * len(headings), rows=found)


def _found(rows: Mapping[str, Row]) -> list[tuple[Row, int, TrainingConfig, Limit]]:
    return [
        (row, training, config, _limit(stages, config))
        for row in rows.values()
        for training in row.trainings()
        for stages in [row.after(training)]
        for config in [_schedule(next(iter(stages.values())))]
        if config.decay < 1 and config.epochs - config.constant_epochs >= EPOCHS
    ]


def _schedule(result: Result) -> TrainingConfig:
    return from_json(TrainingConfig, result.config["training"], "training")


def _limit(stages: Mapping[int, Result], config: TrainingConfig) -> Limit:
    last = {seed: result.valid_perplexities()[-EPOCHS:] for seed, result in stages.items()}
    rates = [learning_rate(config, epoch) for epoch in range(config.epochs - EPOCHS + 1, config.epochs + 1)]
    ends = {seed: perplexities[-1] for seed, perplexities in last.items()}
    limits = {seed: statistics.linear_regression(rates, found).intercept for seed, found in last.items()}
    return Sample(ends), Sample(limits), Sample({seed: ends[seed] - limits[seed] for seed in ends})


def _cells(row: Row, training: int, config: TrainingConfig, limit: Limit) -> list[str]:
    rate = f"{learning_rate(config, config.epochs):.4f}"
    figures = [sample.told() for sample in limit]
    return [f"`{row.name}`", str(training), str(limit[0].n), str(config.epochs), rate, *figures]


def _values(row: Row, training: int, config: TrainingConfig, limit: Limit) -> list[str]:
    seeds = " ".join(map(str, limit[0].by_seed))
    numbers = [number for sample in limit for number in (sample.mean, sample.sd)]
    place = [row.name, str(training), seeds, str(config.epochs), value(learning_rate(config, config.epochs))]
    return [*place, *map(value, numbers)]
