"""`tiedlm train`: a recipe with any field of its config changed, with one seed or many; a run resumed or made longer.

The line is parsed once, into the few values that the user gave; the rest is code on configs: `train` picks one of
`_train_seeds`, `_start` and `_resume`.
"""

from __future__ import annotations

import shlex
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, make_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from tiedlm import files
from tiedlm.cli.arguments import (
    Directory,
    Integer,
    Names,
    OtherRun,
    Seeds,
    base_config,
    overrides_type,
    parse,
    refuse_unused,
    with_overrides,
)
from tiedlm.cli.main import INTERRUPTED
from tiedlm.cli.output import print_table, say
from tiedlm.errors import ConfigError, RanksError, RunError
from tiedlm.recipes import recipe_names
from tiedlm.runs.config import RunConfig
from tiedlm.runs.folder import RunFolder
from tiedlm.training import processes

if TYPE_CHECKING:
    from tiedlm.native.ranks import Ranks
    from tiedlm.training.display import Display
    from tiedlm.training.jobs import JobResult

MIN_SLOWDOWN = 1.5
"""Slowdown of bfloat16 products that is worth a message; less may be other work on the machine."""


@dataclass(frozen=True, kw_only=True)
class TrainArgs:
    """Train a recipe to its end: the weights that are best on validation are kept and scored on validation and test.

    Any field of the recipe's config can be changed, as in --training.epochs 3 or --loss.gamma 0.7, and the text by
    giving --corpus.train, --corpus.valid and --corpus.test. `tiedlm train RECIPE --help` lists all fields with the
    recipe's values; `tiedlm recipes` lists the recipes.
    """

    recipes: Annotated[Names, tyro.conf.arg(metavar="[RECIPE ...]"), tyro.conf.Positional] = ()
    """Name of a recipe, or of a JSON file with a config; several with --seeds, none with --resume."""
    seed: Integer = None
    """Seed of the initial weights and of every mask; without it the recipe's, which is 0."""
    run_dir: Directory = None
    """Run folder to make. Default: RECIPE-seed-SEED in the folder for runs, with --resume RUN-N-epochs."""
    start_from: Annotated[OtherRun, tyro.conf.arg(name="from")] = None
    """Run folder whose weights to start from: a second training."""
    resume: OtherRun = None
    """Run folder to resume exactly where it stopped. Its config is fixed, but for --runtime options; with more
    --training.epochs a copy of it is trained for longer, finished or not."""
    seeds: Seeds = None
    """Train each of these seeds, as in 0-4 or 0,2,5, several at once. Run the same command again to resume."""
    jobs: Integer = None
    """With --seeds, how many trainings at once. Default: as many as there are cores, on a GPU at most 4."""
    data_dir: Directory = None
    """Data folder, downloaded to if needed. Default: TIEDLM_DATA_DIR."""
    overrides: tyro.conf.Suppress[dict[str, Any]] = field(default_factory=dict)


def train(argv: Sequence[str]) -> int | None:
    args = _parse(argv)
    if not args.recipes and args.resume is None:
        raise ConfigError(f"Name the recipe to train: `tiedlm train RECIPE`. Recipes: {', '.join(recipe_names())}.")
    if args.seeds is not None:
        refuse_unused(args, "with --seeds", ("recipes", "seeds", "jobs", "data_dir", "overrides"))
        return _train_seeds(args)
    if args.jobs is not None:
        raise ConfigError("--jobs has no effect without --seeds. Leave it out, or name seeds, as in --seeds 0-4.")
    if len(args.recipes) > 1:
        raise ConfigError(
            f"One training has one recipe, but {len(args.recipes)} are named: {', '.join(args.recipes)}. Leave all but "
            "one out, or train each of them with --seeds, as in --seeds 0."
        )
    return _start(args) if args.resume is None else _resume(args, args.resume)


def _parse(argv: Sequence[str]) -> TrainArgs:
    """Return the arguments. The help shows the values of the recipe that stands on the line, or no fields at all."""
    shown, command = None, "train"
    if {"-h", "--help"} & set(argv):
        names = [word for word in argv if word in recipe_names() or word.endswith(".json")]
        if not names:
            return parse(TrainArgs, argv, "train", more=f"Recipes: {', '.join(recipe_names())}.")
        shown, command = base_config(names[0]), f"train {names[0]}"
    overrides = Annotated[overrides_type(shown), tyro.conf.arg(name="")]
    fields = [("overrides", overrides, field(default_factory=dict))]
    kind = make_dataclass("TrainArgs", fields, bases=(TrainArgs,), frozen=True, kw_only=True)
    kind.__doc__ = TrainArgs.__doc__
    return parse(kind, argv, command)


def _start(args: TrainArgs) -> None:
    config = with_overrides(base_config(args.recipes[0]), args.overrides)
    if args.seed is not None:
        config = replace(config, seed=args.seed)
    run = args.run_dir or files.run_dir(config.recipe, config.seed, second=args.start_from is not None)
    _require_absent(run, args.data_dir)
    if args.start_from is not None:
        first = run_config(args.start_from)
        if first.recipe == config.recipe and first.seed != config.seed:
            _say_once(
                f"tiedlm: {args.start_from} has seed {first.seed}, but this training has seed {config.seed}. A result "
                "has one seed, so this run cannot be published. To use the seed of the first training: "
                f"--seed {first.seed}.",
                error=True,
            )
    with _training(config, run, args.data_dir, is_new=True) as (ranks, display):
        from tiedlm.training import loop

        loop.train(config, run, start_from=args.start_from, data_dir=args.data_dir, display=display, ranks=ranks)


def _resume(args: TrainArgs, run: Path) -> None:
    """Resume a run where it stopped, perhaps with another runtime, or train a copy of it for more epochs."""
    config = run_config(run)
    _check_resumable(args, run, config)
    resumed = with_overrides(config, args.overrides)
    target = run
    if (epochs := resumed.training.epochs) != config.training.epochs:
        from tiedlm.training.start import check_longer

        check_longer(run, config.training.epochs, epochs)
        target = args.run_dir or run.resolve().with_name(f"{run.resolve().name}-{epochs}-epochs")
        _require_absent(target, args.data_dir)
    elif (folder := RunFolder.open(run)).is_finished:
        folder.check()
        if resumed.runtime != config.runtime:
            raise RunError(f"{run} is finished: there is nothing left to train. Leave --runtime options out.")
        _say_once(f"{run} is finished already: `tiedlm compare {shlex.quote(str(run))}` shows its scores.")
        return
    runtime = None if resumed.runtime == config.runtime else resumed.runtime
    is_new = target != run or runtime is not None
    with _training(resumed, target, args.data_dir, is_new=is_new) as (ranks, display):
        from tiedlm.training import loop
        from tiedlm.training.start import extend_run

        if target != run:
            ranks.on_rank0(lambda: extend_run(run, epochs, target))
        loop.resume(target, runtime=runtime, data_dir=args.data_dir, display=display, ranks=ranks)


def _check_resumable(args: TrainArgs, run: Path, config: RunConfig) -> None:
    fields = [f"{section}.{name}" for section, values in args.overrides.items() for name in values]
    fixed = [name for name, value in (("seed", args.seed), ("from", args.start_from)) if value is not None]
    fixed += [name for name in fields if not name.startswith("runtime.") and name != "training.epochs"]
    if fixed:
        raise ConfigError(
            f"--{fixed[0].replace('_', '-')} cannot be changed when resuming {run}. Leave it out, or start a new run "
            "without --resume."
        )
    if args.run_dir is not None and "training.epochs" not in fields:
        raise ConfigError(
            f"--run-dir has no effect with --resume unless --training.epochs is larger: the training continues in "
            f"{run}. Leave it out."
        )
    if args.recipes and base_config(args.recipes[0]).recipe != config.recipe:
        raise ConfigError(
            f"{run} is a run of the recipe {config.recipe!r}, not of {args.recipes[0]!r}. Leave the recipe out, or "
            "resume another run."
        )


def _train_seeds(args: TrainArgs) -> int:
    from tiedlm.training.jobs import Job, JobState
    from tiedlm.training.launcher import launch

    twice = next((name for name in args.recipes if args.recipes.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"The recipe {twice!r} is named twice. Name it once; --seeds says how often it is trained.")
    configs = {name: with_overrides(base_config(name), args.overrides) for name in args.recipes}
    jobs = [
        Job(
            config=(config := replace(configs[name], seed=seed)),
            run_dir=files.run_dir(config.recipe, config.seed),
            data_dir=args.data_dir,
        )
        for seed in args.seeds or ()
        for name in args.recipes
    ]
    warn_slow_bfloat16((job.config for job in jobs if not job.run_dir.exists()), "--runtime.precision")
    try:
        results = launch(jobs, max_parallel=args.jobs)
    except KeyboardInterrupt:
        say("tiedlm: interrupted; progress is saved. Run the same command again to resume.", sys.stderr)
        return INTERRUPTED
    rows = []
    for config in configs.values():
        done = [r.job for r in results if r.state is JobState.FINISHED and r.job.config.recipe == config.recipe]
        valid = {job.config.seed: RunFolder.open(job.run_dir).scores()["valid"]["perplexity"] for job in done}
        mean = f"{statistics.mean(valid.values()):.2f}" if valid else "-"
        sd = f"{statistics.stdev(valid.values()):.2f}" if len(valid) > 1 else "-"
        by_seed = ", ".join(f"{seed}: {value:.2f}" for seed, value in valid.items())
        rows.append([config.recipe, str(len(valid)), mean, sd, by_seed])
    say()
    print_table(("recipe", "n", "valid perplexity, mean", "sample sd", "of each seed"), rows, align="lrrrl")
    require_finished([result for result in results if result.state is not JobState.FINISHED], len(results))
    return 0


@contextmanager
def _training(
    config: RunConfig, run: Path, data_dir: Path | None, *, is_new: bool
) -> Iterator[tuple[Ranks, Display | None]]:
    """Yield the processes that train together and the display of this one; say how to resume what is cut.

    `is_new` says that the precision is a new choice, which is worth a message where it is slow. An interrupt becomes a
    SystemExit, after its message.
    """
    from tiedlm.training.processes import exit_with_parent

    exit_with_parent()
    if config.runtime.device == "cpu":
        from tiedlm.native.device import keep_freed_memory  # here, since it loads torch

        keep_freed_memory()
    try:
        from tiedlm.training.display import for_stream

        with processes.process_group(config.runtime.device) as ranks:
            _say_once(f"run: {run}")
            if is_new and ranks.is_main:
                warn_slow_bfloat16([config], "--runtime.precision")
            yield ranks, for_stream() if ranks.is_main else None
    except KeyboardInterrupt as interrupt:
        saved = f"interrupted; progress is saved. Resume with: {processes.resume_command(run, data_dir)}"
        _say_once(f"tiedlm: {saved if run.exists() else 'interrupted before the training began'}", error=True)
        raise SystemExit(INTERRUPTED) from interrupt
    except RanksError as error:
        if not run.exists():
            raise
        command = processes.resume_command(run, data_dir)
        raise RanksError(f"{error} Resume from the state that was saved last: {command}") from error


def run_config(run: Path) -> RunConfig:
    return RunFolder.open(run).config()


def warn_slow_bfloat16(configs: Iterable[RunConfig], option: str) -> None:
    """Print to stderr, once, where trainings in bfloat16 are about to start on a CPU on which it is slow."""
    if not any(config.runtime.precision == "bfloat16" and config.runtime.device == "cpu" for config in configs):
        return
    import torch

    from tiedlm.native import device

    slowdown = device.matmul_slowdown(torch.bfloat16)
    if slowdown > MIN_SLOWDOWN:
        say(
            f"tiedlm: bfloat16 products take about {slowdown:.0f} times as long as float32 ones on this processor. "
            f"{option} float32 is the faster choice here.",
            sys.stderr,
        )


def require_finished(unfinished: Sequence[JobResult], total: int) -> None:
    if unfinished:
        reasons = "; ".join(f"{result.job.name} {result.state}: {result.reason}" for result in unfinished)
        logs = ", ".join(str(result.log) for result in unfinished if result.log is not None)
        raise RunError(
            f"{len(unfinished)} of {total} trainings are not finished. {reasons}. Logs: {logs}. Once the cause is "
            "gone, run the same command again to resume."
        )


def _require_absent(run: Path, data_dir: Path | None) -> None:
    """Raise a RunError where a new run folder cannot be made, with how to resume where it is a run."""
    if not run.exists() or (run.is_dir() and not any(run.iterdir())):
        return
    other = "choose another folder with --run-dir DIR."
    try:
        holder = RunFolder.open(run).holder()
    except RunError as error:
        raise RunError(f"{run} exists and is not a run folder: {other}") from error
    if holder is not None:
        raise RunError(f"{run} is being trained by {holder}. Wait until it has ended, or {other}")
    command = processes.resume_command(run, data_dir)
    raise RunError(f"{run} exists already. Resume it with `{command}`, or {other}")


def _say_once(text: str, *, error: bool = False) -> None:
    if processes.is_main_process():
        say(text, sys.stderr if error else None)
