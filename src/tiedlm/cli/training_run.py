"""Starts or goes on with a training, says where it is kept, and after an interrupt how to go on."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from tiedlm import locations
from tiedlm.checkpoint.folder import RunFolder
from tiedlm.cli.main import INTERRUPTED
from tiedlm.cli.output import say
from tiedlm.cli.slow_products import tell_slow_products
from tiedlm.errors import RanksError, RunError
from tiedlm.launching.lifeline import hold_on
from tiedlm.runs.config import RunConfig, RuntimeConfig
from tiedlm.training import torchrun
from tiedlm.training.moves import current_config, move

if TYPE_CHECKING:
    from tiedlm.native.ranks import Ranks


def config_of(run: Path) -> RunConfig:
    """Return the config of a run folder, with the runtime that its training has now; imports no torch.

    Raises:
        RunError: the folder is missing, no run folder, or damaged.
    """
    return current_config(RunFolder.open(run))


def default_run_dir(config: RunConfig, *, second: bool) -> Path:
    """Return the run folder of a training that was given none: by recipe and seed, in the folder for runs."""
    return locations.runs_dir() / f"{config.recipe}-seed-{config.seed}{'-second' if second else ''}"


def begin(config: RunConfig, *, run_dir: Path | None, start_from: Path | None, data_dir: Path | None) -> int:
    """Train `config` in a new run folder and return the exit status.

    Raises:
        TiedlmError: as `training.loop.train`; and a RunError where the folder exists.
    """
    run = run_dir or default_run_dir(config, second=start_from is not None)
    check_free(run, data_dir)
    if start_from is not None:
        _tell_other_seed(config, start_from)

    def work() -> None:
        from tiedlm.training import loop
        from tiedlm.training.display import for_stream

        with torchrun.joined(config.runtime.device) as ranks:
            _say(f"run: {run}")
            _tell_slow_products(config, ranks)
            display = for_stream() if ranks.is_main else None
            loop.train(config, run, start_from=start_from, data_dir=data_dir, display=display, ranks=ranks)

    return _interruptible(work, run, config, data_dir)


def go_on(run: Path, config: RunConfig, data_dir: Path | None, runtime: RuntimeConfig | None = None) -> int:
    """Go on with the training in a run folder and return the exit status; one that is finished stays as it is.

    Args:
        run: the run folder.
        config: its config now.
        data_dir: folder with corpora; None is the usual one.
        runtime: the runtime to go on with from here; None: that of the config.

    Raises:
        TiedlmError: as `training.loop.resume`; a folder that is damaged is an error even where nothing is left to do.
    """
    folder = RunFolder.open(run)
    if folder.has("scores"):
        folder.check_whole()
        if runtime is not None:
            raise RunError(f"{run} is finished: there is nothing left to be trained elsewhere. Leave --runtime out.")
        _say(f"{run} is finished already: `tiedlm compare {shlex.quote(str(run))}` shows its scores.")
        return 0

    now = config if runtime is None else replace(config, runtime=runtime)
    before = () if runtime is None else (lambda: move(run, now.runtime),)
    return resuming(run, now, data_dir, before)


def resuming(run: Path, config: RunConfig, data_dir: Path | None, before: Sequence[Callable[[], object]]) -> int:
    """Go on with the training in a run folder, as `config` is by then, and return the exit status.

    Args:
        run: the run folder, which `before` may make.
        config: its config from here.
        data_dir: folder with corpora; None is the usual one.
        before: what one process does before it goes on, in this order.

    Raises:
        TiedlmError: as `training.loop.resume`, and what `before` raises.
    """

    def work() -> None:
        from tiedlm.training import loop
        from tiedlm.training.display import for_stream

        with torchrun.joined(config.runtime.device) as ranks:
            _say(f"run: {run}")
            for step in before:
                ranks.on_rank0(step)
            if before:
                _tell_slow_products(config, ranks)
            display = for_stream() if ranks.is_main else None
            loop.resume(run, data_dir=data_dir, display=display, ranks=ranks)

    return _interruptible(work, run, config, data_dir)


def _tell_slow_products(config: RunConfig, ranks: Ranks) -> None:
    if ranks.is_main:
        tell_slow_products([config], "--runtime.precision")


def check_free(run: Path, data_dir: Path | None) -> None:
    """Refuse a place for a new run where something is, and tell how to go on where it is a run.

    Raises:
        RunError: something is there.
    """
    if not run.exists() or (run.is_dir() and not any(run.iterdir())):
        return
    other = "into another folder: --run-dir DIR."
    try:
        holder = RunFolder.open(run).holder()
    except RunError as error:
        raise RunError(f"{run} exists already. It is no run that can go on. Train {other}") from error
    if holder is not None:
        raise RunError(f"{run} is being trained by {holder}. Wait until it has ended, or train {other}")
    raise RunError(f"{run} exists already. Go on with it: `{_resume_command(run, data_dir)}`. Or train {other}")


def _tell_other_seed(config: RunConfig, start_from: Path) -> None:
    """Say of a second training that its seed is not that of the first one: publishing refuses such a result."""
    first = config_of(start_from)
    if first.recipe == config.recipe and first.seed != config.seed:
        told = (
            f"tiedlm: {start_from} has seed {first.seed}, but this training has seed {config.seed}. A result is of one "
            f"seed, so this run cannot be published. To have the seed of the first: --seed {first.seed}."
        )
        _say(told, sys.stderr)


def _interruptible(work: Callable[[], None], run: Path, config: RunConfig, data_dir: Path | None) -> int:
    hold_on()
    if config.runtime.device == "cpu":
        from tiedlm.native.device import keep_freed_memory  # here, since it loads torch

        keep_freed_memory()
    try:
        work()
    except KeyboardInterrupt:
        if run.exists():
            told = f"interrupted; what was done is saved. Go on with it: {_resume_command(run, data_dir)}"
        else:
            told = "interrupted before the training began; nothing is left of it"
        _say(f"tiedlm: {told}", sys.stderr)
        return INTERRUPTED
    except RanksError as error:
        if not run.exists():
            raise
        command = _resume_command(run, data_dir)
        raise RanksError(f"{error} Go on from the state that was saved last: {command}") from error
    return 0


def _say(text: str, where: TextIO | None = None) -> None:
    """Print a line, once for all processes that train together."""
    if torchrun.speaks():
        say(text, where)


def _resume_command(run: Path, data_dir: Path | None) -> str:
    words = [*torchrun.program(), "train", "--resume", str(run)]
    return shlex.join(words if data_dir is None else [*words, "--data-dir", str(data_dir)])
