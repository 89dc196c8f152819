"""`tiedlm train --resume RUN --training.epochs N`: a training goes on for longer, in a copy of its run folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tiedlm.cli.training_run import check_free, resuming
from tiedlm.runs.config import RunConfig, RuntimeConfig
from tiedlm.training.longer import check_longer, lengthen, with_epochs
from tiedlm.training.moves import move


def default_longer_run(run: Path, epochs: int) -> Path:
    """Return the folder of a longer training that was given none: beside that of the shorter one."""
    return run.with_name(f"{run.name}-{epochs}-epochs")


def go_on_longer(
    run: Path,
    config: RunConfig,
    epochs: int,
    longer_run: Path | None,
    data_dir: Path | None,
    runtime: RuntimeConfig | None,
) -> int:
    """Go on with the training in a run folder for more epochs, in another run folder, and return the exit status.

    Args:
        run: the run folder, finished or not; it stays as it is.
        config: its config now.
        epochs: of the whole training.
        longer_run: the run folder to make; None: `default_longer_run`.
        data_dir: folder with corpora; None is the usual one.
        runtime: the runtime to go on with from here; None: that of the config.

    Raises:
        TiedlmError: as `training.longer.lengthen` and `training.loop.resume`.
    """
    check_longer(run, config.training.epochs, epochs)
    target = longer_run or default_longer_run(run.resolve(), epochs)
    check_free(target, data_dir)
    now = replace(with_epochs(config, epochs), runtime=runtime or config.runtime)
    copied = [lambda: lengthen(run, epochs, target)]
    moved = [] if runtime is None else [lambda: move(target, now.runtime)]
    return resuming(target, now, data_dir, [*copied, *moved])
