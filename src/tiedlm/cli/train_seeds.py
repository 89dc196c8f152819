"""`tiedlm train RECIPE ... --seeds 0-4`: every recipe with every seed, several at once, then mean and spread."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tiedlm.checkpoint.folder import RunFolder
from tiedlm.cli.main import INTERRUPTED
from tiedlm.cli.output import print_table, say
from tiedlm.cli.recipe_config import config_file
from tiedlm.cli.slow_products import tell_slow_products
from tiedlm.cli.training_run import default_run_dir
from tiedlm.cli.words import Words
from tiedlm.errors import ConfigError, RunError
from tiedlm.launching import Job, Outcome, State, launch, parse_seeds
from tiedlm.runs.config import RunConfig

INSTEAD = {
    "seed": "put the seed into the list",
    "resume": "the same command as before, with --seeds, goes on with all that was cut",
    "run-dir": "each run has a folder of its own, RECIPE-seed-SEED, in the folder for runs (TIEDLM_RUNS_DIR)",
    "from": "begin second trainings one by one, `tiedlm train RECIPE --seed SEED --from RUN`",
}
"""Options that go with one run only, and what to do instead."""
HEADINGS = ("recipe", "n", "valid perplexity, mean", "sample sd", "of each seed")


def check_words(words: Words) -> None:
    """Refuse the options that go with one run only, and a recipe that is named twice."""
    for name, advice in INSTEAD.items():
        if name in words.options:
            raise ConfigError(f"--{name} does not go with --seeds: {advice}.")
    for name in words.others:
        if words.others.count(name) > 1:
            raise ConfigError(f"The recipe {name!r} stands there twice: name it once, --seeds says how often.")


def train_seeds(configs: Mapping[str, RunConfig], seeds: str, *, at_once: int | None, data_dir: Path | None) -> int:
    """Train every config with every seed, print mean and spread, and return the exit status.

    Args:
        configs: recipe, or path of a config file → the config, as the other options change it.
        seeds: the list as it was given.
        at_once: trainings at one time; None chooses.
        data_dir: folder with corpora; None is the usual one.

    Raises:
        TiedlmError: what `launch` raises; and a RunError where some runs are not finished.
    """
    every = parse_seeds(seeds)
    jobs = [_job(name, replace(config, seed=seed), data_dir) for seed in every for name, config in configs.items()]
    tell_slow_products((job.config for job in jobs if not job.run_dir.exists()), "--runtime.precision")
    try:
        outcomes = launch(jobs, slots=at_once)
    except KeyboardInterrupt:
        say("tiedlm: interrupted; what was done is saved, and the same command goes on with it", file=sys.stderr)
        return INTERRUPTED
    _print_spread([config.recipe for config in configs.values()], outcomes)
    check_finished([one for one in outcomes if one.state is not State.FINISHED], len(outcomes))
    return 0


def _job(name: str, config: RunConfig, data_dir: Path | None) -> Job:
    run_dir = default_run_dir(config, second=False)
    return Job(config=config, run_dir=run_dir, data_dir=data_dir, config_file=config_file(name))


def _print_spread(recipes: Sequence[str], outcomes: Sequence[Outcome]) -> None:
    rows = []
    for name in recipes:
        jobs = [o.job for o in outcomes if o.state is State.FINISHED and o.job.config.recipe == name]
        found = {job.config.seed: _valid_perplexity(job.run_dir) for job in jobs}
        mean = f"{statistics.mean(found.values()):.2f}" if found else "-"
        spread = f"{statistics.stdev(found.values()):.2f}" if len(found) > 1 else "-"
        each = ", ".join(f"{seed}: {value:.2f}" for seed, value in found.items())
        rows.append([name, str(len(found)), mean, spread, each])
    say()
    print_table(HEADINGS, rows, align="lrrrl")


def _valid_perplexity(run: Path) -> float:
    return RunFolder.open(run).read_json("scores")["valid"]["perplexity"]


def check_finished(left: Sequence[Outcome], total: int) -> None:
    """Refuse trainings that are left of so many: says why each is, and where its log is."""
    if left:
        told = "; ".join(f"{outcome.job.name} {outcome.state}: {outcome.reason}" for outcome in left)
        logs = ", ".join(str(outcome.log) for outcome in left if outcome.log is not None)
        raise RunError(
            f"{len(left)} of {total} trainings are not finished. {told}. Logs: {logs}. Once the cause is gone, "
            "the same command goes on where they stopped."
        )
