"""Which rows are reproduced, which trainings are missing, what each would cost, and what trains them.

A cost is worked out from what recorded trainings took:

    seconds = epochs x work of an epoch x (recorded seconds of an epoch / recorded work of an epoch)

Work is that of the matrix products (multiplications and additions, forward and backward), which is what differs between
the models of one size. Recorded trainings of other machines, precisions, numbers of threads or sizes are not mixed.
Where none of the size was recorded another size stands for it: the time is a rough one then, too long on a device that
a small network leaves idle.
"""

from __future__ import annotations

import math
import shlex
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from tiedlm import files
from tiedlm.data.sources import source_of, training_words
from tiedlm.errors import ArgumentError, suggestion
from tiedlm.nn.config import LSTMConfig, RHNConfig
from tiedlm.paper.published import AUGMENTED, BASELINE, BESIDE, CITATIONS, CONTROLS, ROWS
from tiedlm.paper.results import Conditions, Row, check_is_recipe
from tiedlm.recipes import recipe
from tiedlm.runs.config import Precision, RunConfig, RuntimeConfig, runtime_options
from tiedlm.runs.folder import RunFolder
from tiedlm.training.jobs import Job

SLACK = 0.5
"""A row is reproduced where our mean test perplexity is at most the paper's plus this, both to two decimals."""
SEEDS = (0, 1, 2)
"""Seeds that a row should have: with fewer than three there is no test."""
THREADS = 1
"""Threads of a training that `tiedlm reproduce` begins: it trains one a core."""
AUGMENTED_WORK, AUGMENTED_WORK_IN_FULL = 1.17, 1.52
"""Work of the augmented loss in units of cross-entropy's, with the gradient stopped at the soft target and through it:
1 + U / 3N and 1 + U / N with U = 361 distinct targets among the N = 700 of a window of Penn Treebank, rounded."""

FIGURE_1 = "figure1"
"""The target that is made of no rows, but of runs of its own."""


def _rows_of(table: str) -> tuple[str, ...]:
    return tuple(name for name, row in ROWS.items() if row.table == table)


TARGETS: dict[str, tuple[str, ...]] = {
    "table1": _rows_of("Table 1"),
    "table2": _rows_of("Table 2"),
    "table3": tuple(dict.fromkeys([*(cited.recipe for cited in CITATIONS if cited.recipe), *_rows_of("Table 3")])),
    "table4": (BASELINE, AUGMENTED),
    "figure2": tuple(name for name in _rows_of("Table 1") if ROWS[name].corpus == "ptb"),
    "beside": _rows_of(BESIDE),
    "controls": _rows_of(CONTROLS),
}
"""Tables and figures → the rows whose runs they are made of."""


def select(targets: Sequence[str], only: Sequence[str] = ()) -> list[str]:
    """Return the names of rows, in the order of the paper; of every row but controls where no target is given.

    Args:
        targets: tables, figures and rows.
        only: parts of names, such as "small" or "real", all of which a row's name must have.

    Raises:
        ArgumentError: an unknown target or part, or no row that has all parts.
    """
    known = [*TARGETS, *ROWS]
    names: set[str] = set() if targets else {name for name, row in ROWS.items() if row.table != CONTROLS}
    for target in targets:
        if target not in known:
            raise ArgumentError(
                f"There is no table, figure or row {target!r}.{suggestion(target, [*known, FIGURE_1])} Tables and "
                f"figures: {', '.join([*TARGETS, FIGURE_1])}; rows: `tiedlm reproduce --list`."
            )
        names.update(TARGETS.get(target, (target,)))
    parts = {part for name in ROWS for part in name.split("-")}
    for part in only:
        if part not in parts:
            raise ArgumentError(
                f"No row has {part!r} in its name.{suggestion(part, parts)} Parts: {', '.join(sorted(parts))}."
            )
    rows = [name for name in ROWS if name in names and set(only) <= set(name.split("-"))]
    if not rows:
        raise ArgumentError(f"No row of {', '.join(targets)} has {' and '.join(only)} in its name.")
    return rows


def stands(row: Row) -> bool | None:
    """Return whether a row is reproduced; None where it was not run as often as in the paper, or the paper lacks it."""
    ours, paper = row.test(), row.published.test
    return None if ours is None or paper is None else round(ours.mean - paper, 2) <= SLACK


def summary_text(rows: Mapping[str, Row]) -> str:
    """Return how many of the paper's rows are reproduced, by which rule, and at what cost."""
    printed = [stands(row) for row in rows.values() if row.published.test is not None]
    run = [verdict for verdict in printed if verdict is not None]
    hours: dict[str, float] = {}
    counted = [row for row in rows.values() if row.published.table != CONTROLS]
    for each in (each for row in counted for last in row.results.values() for each in last.trainings_in_order()):
        for conditions, seconds in each.seconds.items():
            hours[conditions.machine] = hours.get(conditions.machine, 0.0) + sum(seconds) / 3600
    listed = ", ".join(f"{spent:.1f} on {machine}" for machine, spent in sorted(hours.items()))
    return (
        f"Reproduced: {sum(run)} of {len(printed)} published rows. Run, trained as often as in the paper: "
        f"{len(run)}. Not run: {len(printed) - len(run)}.\n"
        f'A row counts as reproduced ("stands") if our mean test perplexity is at most the published value + {SLACK}.\n'
        f"Training behind the rows, in hours of one process: {listed or 'none'}.\n"
    )


@final
@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What one training would take in one process."""

    seconds: float
    conditions: Conditions
    """Those of the recorded trainings that it is drawn from, and holds for."""
    of_size: str
    """Size of the networks that were recorded: that of the row where there are any."""


def default_conditions(machine: str, precision: Precision | None = None) -> Conditions:
    """Return how `tiedlm reproduce` begins a training; without a precision, in that of all recipes."""
    return Conditions(machine=machine, precision=precision or RuntimeConfig().precision, threads=THREADS)


def estimate(name: str, rows: Mapping[str, Row], here: Conditions) -> Estimate | None:
    """Return the cost of one training of a row's recipe; None where no training at all was recorded.

    Where none was recorded under the conditions `here`, it is for what comes nearest: the size counts first, then
    machine, precision, threads, how near the size's work is, and how many were recorded.
    """
    recorded: dict[tuple[str, Conditions], list[float]] = {}
    distance: dict[str, float] = {}
    for row in rows.values():
        size, work = row.published.size, flops_per_word(recipe(row.name))
        apart = abs(math.log(work / flops_per_word(recipe(name))))
        distance[size] = min(apart, distance.get(size, math.inf))
        for each in (each for result in row.results.values() for each in result.trainings_in_order()):
            for conditions, seconds in each.seconds.items():
                per_unit = statistics.median(seconds) / _work_of_epoch(recipe(row.name))
                recorded.setdefault((size, conditions), []).append(per_unit)
    if not recorded:
        return None

    def nearness(key: tuple[str, Conditions]) -> tuple[object, ...]:
        size, conditions = key
        same = [getattr(conditions, field) == getattr(here, field) for field in ("machine", "precision", "threads")]
        return (size == ROWS[name].size, *same, -distance[size], len(recorded[key]))

    size, conditions = max(recorded, key=nearness)
    config = recipe(name)
    seconds = statistics.median(recorded[size, conditions]) * _work_of_epoch(config) * config.training.epochs
    return Estimate(seconds=seconds, conditions=conditions, of_size=size)


def _work_of_epoch(config: RunConfig) -> float:
    return (training_words(config.corpus.name) or 0) * flops_per_word(config)


def flops_per_word(config: RunConfig) -> float:
    """Return the operations for one word of a row's config.

    6 V D of the softmax layer, by the loss's factor; 48 H^2 of an LSTM layer, or 12 H (H + L H) of a recurrent highway
    layer of depth L, as wide as its input.
    """
    source, model, loss = source_of(config.corpus.name), config.model, config.loss
    assert source is not None
    if isinstance(model, RHNConfig):
        layers, width = 12.0 * model.layers * (1 + model.depth) * model.units**2, model.units
    else:
        assert isinstance(model, LSTMConfig)
        layers, width = 48.0 * model.layers * model.units**2, model.width
    factor = 1.0 if loss.gamma == 0 else AUGMENTED_WORK if loss.detach_target else AUGMENTED_WORK_IN_FULL
    return 6.0 * source.vocab_size * width * factor + layers


@final
@dataclass(frozen=True, kw_only=True)
class Missing:
    recipe: str
    seed: int
    training: int
    """1, or 2 for one that starts from the weights of the first."""
    estimate: Estimate | None


def missing(
    names: Iterable[str],
    rows: Mapping[str, Row],
    machine: str,
    seeds: Sequence[int] = SEEDS,
    *,
    precision: Precision | None = None,
) -> list[Missing]:
    """Return the trainings of `seeds` that the rows `names` lack, cheapest first, a second training after its first.

    Costs are for a machine and a precision, None for the recipe's; without any, the order is the paper's.
    """
    lacking = [
        Missing(recipe=name, seed=seed, training=training, estimate=cost)
        for name in names
        for cost in [estimate(name, rows, default_conditions(machine, precision))]
        for seed in seeds
        for training in range(1, ROWS[name].trainings + 1)
        if seed not in rows[name].after(training)
    ]
    return sorted(lacking, key=lambda each: 0.0 if each.estimate is None else each.estimate.seconds)


@final
@dataclass(frozen=True, kw_only=True)
class Training:
    """A training on this machine: to begin, to resume, or only to publish."""

    config: RunConfig
    """The recipe, with the seed."""
    run_dir: Path
    start_from: Path | None
    """The run folder of the first training, for a second one."""
    done: float
    """Share of its epochs that the run folder has, in [0, 1]; 1: it is finished and has to be published."""
    estimate: Estimate | None
    """What all of it would cost; None where that is not known."""

    @property
    def seconds(self) -> float | None:
        """Of what is left; None where that is not known."""
        return None if self.estimate is None else (1 - self.done) * self.estimate.seconds

    def command(self, runtime: Mapping[str, Any]) -> str:
        """Return the command line that does what is left; a run that exists keeps its own runtime."""
        if self.done == 1:
            return shlex.join(["tiedlm", "publish", str(self.run_dir)])
        if self.run_dir.exists():
            return shlex.join(["tiedlm", "train", "--resume", str(self.run_dir)])
        words = ["tiedlm", "train", self.config.recipe, "--seed", str(self.config.seed), "--run-dir", str(self.run_dir)]
        words += [] if self.start_from is None else ["--from", str(self.start_from)]
        return shlex.join([*words, *runtime_options(runtime)])

    def job(self, runtime: Mapping[str, Any], results: Path, data_dir: Path | None, *, publish: bool) -> Job:
        """Return the job that does what is left; a run that exists must be the recipe's."""
        config = replace(self.config, runtime=replace(self.config.runtime, **runtime))
        if self.run_dir.exists():
            config = RunFolder.open(self.run_dir).config()
            check_is_recipe(config)
        words = ["publish", str(self.run_dir), "--results", str(results), "--device", config.runtime.device]
        words += [] if data_dir is None else ["--data-dir", str(data_dir)]
        after = tuple(words) if publish else ()
        return Job(config=config, run_dir=self.run_dir, start_from=self.start_from, data_dir=data_dir, after=after)


def trainings(lacking: Iterable[Missing]) -> list[Training]:
    """Return the trainings that supply what is missing, in the same order.

    Results hold no weights: where the run of a first training is not on this machine, it comes before its second one.

    Raises:
        RunError: what stands in the place of a run folder is none, or is damaged.
    """
    by_folder: dict[Path, Training] = {}
    for each in lacking:
        config = replace(recipe(each.recipe), seed=each.seed)
        first = files.run_dir(each.recipe, each.seed)
        for training in range(1, each.training + 1):
            run_dir, done = (first if training == 1 else files.run_dir(each.recipe, each.seed, second=True)), 0.0
            if run_dir.exists():
                folder = RunFolder.open(run_dir)
                epochs = sum(record["event"] == "epoch" for record in folder.journal())
                # without scores, these are still to be made
                done = 1.0 if folder.is_finished else min(epochs / config.training.epochs, 0.999)
            if training == each.training or done < 1:
                start = None if training == 1 else first
                one = Training(config=config, run_dir=run_dir, start_from=start, done=done, estimate=each.estimate)
                by_folder.setdefault(run_dir, one)
    return list(by_folder.values())
