"""A training that goes on for more epochs than it was to have, in a run folder of its own.

What an epoch does depends on its number and on nothing after it (`training.schedule`), so a training of 40 epochs that
is made one of 60 ends with the same bits as one that was to have 60 from the beginning. The run that it is made from
stays as it is, with its scores. Imports no torch.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tiedlm.checkpoint.folder import RunFolder
from tiedlm.checkpoint.roles import ROLES
from tiedlm.config import from_json, to_json
from tiedlm.errors import RunError
from tiedlm.files import json_bytes
from tiedlm.runs.config import RunConfig

NOT_TAKEN = ("config", "scores")
"""Roles whose file is not that of the shorter training."""


def with_epochs(config: RunConfig, epochs: int) -> RunConfig:
    """Return the config of a training of another length.

    Raises:
        ConfigError: less than one epoch.
    """
    return replace(config, training=replace(config.training, epochs=epochs))


def lengthen(run: Path, epochs: int, longer_run: Path) -> RunFolder:
    """Make the run folder of a training of `epochs` epochs that goes on where the one in `run` was saved last.

    Args:
        run: a run folder, finished or not.
        epochs: of the whole training, more than it has now.
        longer_run: the run folder to make; it must not exist yet.

    Raises:
        RunError: `run` is missing, damaged or in use, or has as many epochs; something is at `longer_run`.
        ConfigError: the config of `run` was written by another version.
    """
    folder = RunFolder.open(run)
    with folder.lock():
        folder.check_whole()
        config = from_json(RunConfig, folder.read_json("config"))
        check_longer(run, config.training.epochs, epochs)
        taken = {role: folder.read(role) for role in ROLES if folder.has(role) and role not in NOT_TAKEN}
        written = {"config": json_bytes(to_json(with_epochs(config, epochs)), sort_keys=False), **taken}
        return RunFolder.create(longer_run, written, [*_history(folder), _news(folder, config, epochs)])


def check_longer(run: Path, before: int, epochs: int) -> None:
    """Raise a RunError unless a training of `before` epochs can become one of `epochs`."""
    if epochs <= before:
        raise RunError(
            f"{run} is a training of {before} epochs, and {epochs} are asked for: it can go on for more of them only. "
            f"Name a number above {before}, or train anew without --resume."
        )


def _history(folder: RunFolder) -> list[dict[str, Any]]:
    """Return the journal of the shorter training but for its end."""
    return [record for record in folder.journal.records() if record["event"] != "end"]


def _news(folder: RunFolder, config: RunConfig, epochs: int) -> dict[str, Any]:
    told = folder.read_json("progress")
    place = {"epoch": told["epoch"], "window": told["window"], "time_unix": time.time()}
    return {**place, "event": "longer", "epochs": epochs, "epochs_before": config.training.epochs}
