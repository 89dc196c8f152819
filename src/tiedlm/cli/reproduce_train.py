"""`tiedlm reproduce TARGET ...`: trains what is missing, cheapest first, within a budget, and publishes it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tiedlm.cli.main import INTERRUPTED
from tiedlm.cli.output import print_table, say
from tiedlm.cli.reproduce_list import machine
from tiedlm.cli.train import require_finished, run_config, warn_slow_bfloat16
from tiedlm.paper.plan import Training, missing, select, trainings
from tiedlm.paper.results import Row, check_is_recipe, read_rows
from tiedlm.paper.tables import perplexity_table
from tiedlm.runs.config import RunConfig
from tiedlm.training.jobs import Job, JobState
from tiedlm.training.launcher import launch


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is to be reproduced, and with what means."""

    targets: Sequence[str]
    only: Sequence[str]
    seeds: Sequence[int]
    budget_seconds: int | None
    at_once: int | None
    runtime: Mapping[str, Any]
    """Fields of the runtime, `precision` and `device`, of trainings that are begun, where they are not the recipe's.
    What is begun keeps its own."""
    data_dir: Path | None


def train_missing(results: Path, wanted: Wanted) -> int:
    """Train and publish what rows lack, and return the exit status.

    Args:
        results: the folder of all results; what is finished is added to it.
        wanted: which rows and seeds, and how.

    Raises:
        TiedlmError: targets that there are not, results that are refused, run folders that are damaged or of another
            config, what `launch` raises, or trainings that failed.
    """
    here = machine(wanted.runtime)
    names, rows = select(wanted.targets, wanted.only), read_rows(results)
    steps = missing(names, rows, here, wanted.seeds, precision=wanted.runtime.get("precision"))
    found = trainings(steps)
    if not found:
        say("Nothing is missing: `tiedlm reproduce --render` makes tables and figures of what there is.")
        return 0
    jobs = [_job(one, wanted, results, rows) for one in found]
    begun = [job for job in jobs if not job.run_dir.exists()]
    warn_slow_bfloat16((job.config for job in begun), "--precision")
    _tell_repeated(begun, rows)
    try:
        ended = launch(jobs, max_parallel=wanted.at_once, budget_seconds=wanted.budget_seconds)
    except KeyboardInterrupt:
        say("tiedlm: interrupted; what was done is saved, and the same command goes on with it", file=sys.stderr)
        return INTERRUPTED
    require_finished([one for one in ended if one.state is JobState.FAILED], len(ended))
    done = sum(one.state is JobState.FINISHED for one in ended)
    table = perplexity_table("rows", read_rows(results), names)
    print_table(table.headings, table.rows(), align=table.align)
    say(f"{done} trainings are finished, {len(ended) - done} are not: the same command goes on with them.")
    return 0


def _job(training: Training, wanted: Wanted, results: Path, rows: Mapping[str, Row]) -> Job:
    """Return the job of a training; its result is published in the same place, unless there is one already."""
    config = run_config(training.run_dir) if training.run_dir.exists() else _new(training.config, wanted.runtime)
    check_is_recipe(config)
    job = Job(config=config, run_dir=training.run_dir, start_from=training.start_from, data_dir=wanted.data_dir)
    if _is_repeated(job, rows):
        return job
    after = ["publish", str(job.run_dir), "--results", str(results), "--device", config.runtime.device]
    after += [] if wanted.data_dir is None else ["--data-dir", str(wanted.data_dir)]
    return replace(job, after=tuple(after))


def _new(config: RunConfig, runtime: Mapping[str, Any]) -> RunConfig:
    return replace(config, runtime=replace(config.runtime, **runtime))


def _is_repeated(job: Job, rows: Mapping[str, Row]) -> bool:
    """Return whether a first training has a result, and is a job for the weights that its second needs."""
    return job.start_from is None and job.config.seed in rows[job.config.recipe].results


def _tell_repeated(jobs: Iterable[Job], rows: Mapping[str, Row]) -> None:
    for job in jobs:
        if _is_repeated(job, rows):
            there = rows[job.config.recipe].results[job.config.seed].path
            say(
                f"tiedlm: {there} is of a run whose weights are not here, and its second training needs them. The "
                "first is trained again; `tiedlm publish RUN --replace` can then put both in the place of that result.",
                file=sys.stderr,
            )
