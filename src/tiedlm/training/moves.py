"""A training that goes on elsewhere than it began: on another device, in another precision, with other threads.

The config of a run folder is fixed, and so is what its environment tells of the beginning. Where a training goes on is
in the role `moves`, a list, oldest first, of which the last entry counts:

    [{"epoch": 23, "window": 410, "runtime": {"device": "cpu", ...}, "environment": {"processor": "...", ...}}, ...]

Weights, masks and the order of the text are the same everywhere; a precision aside, results differ in the last digits.
Imports no torch.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tiedlm.checkpoint.folder import RunFolder
from tiedlm.config import from_json, to_json
from tiedlm.errors import RunError
from tiedlm.files import json_bytes
from tiedlm.training.config import RunConfig, RuntimeConfig

Moves = list[dict[str, Any]]


def moves_of(folder: RunFolder) -> Moves:
    """Return the moves of the training in a run folder, oldest first."""
    return folder.read_json("moves") if folder.has("moves") else []


def current_config(folder: RunFolder) -> RunConfig:
    """Return the config of a run folder, with the runtime that its training has now.

    Raises:
        RunError: the folder is damaged.
        ConfigError: its config was written by another version.
    """
    config = from_json(RunConfig, folder.read_json("config"))
    moves = moves_of(folder)
    return replace(config, runtime=from_json(RuntimeConfig, moves[-1]["runtime"], "moves.runtime")) if moves else config


def current_threads(folder: RunFolder) -> int:
    """Return the threads that the training in a run folder has now."""
    moves = moves_of(folder)
    return (moves[-1]["environment"] if moves else folder.read_json("environment"))["threads"]


def move(run_dir: Path, runtime: RuntimeConfig) -> None:
    """Let the training in a run folder go on with another runtime, from where its state was saved last.

    Raises:
        RunError: the folder is missing, damaged or in use, or its training is finished.
        ConfigError: a device that does not exist here.
    """
    from tiedlm.devices import usable_device  # here, with what loads torch
    from tiedlm.training.environment import describe, set_threads

    folder = RunFolder.open(run_dir)
    usable_device(runtime.device)
    with folder.lock():
        if folder.has("scores"):
            raise RunError(f"{folder.path} is finished: there is nothing left to be trained elsewhere.")
        folder.check_whole()
        folder.journal.rewind()
        set_threads(runtime.threads)
        told = folder.read_json("progress")
        place = {"epoch": told["epoch"], "window": told["window"]}
        here = {name: value for name, value in describe(runtime.device).items() if name != "command"}
        entry = {**place, "runtime": to_json(runtime), "environment": here}
        folder.journal.append({**place, "time_unix": time.time(), "event": "move", "runtime": to_json(runtime)})
        folder.commit({"moves": json_bytes([*moves_of(folder), entry], sort_keys=False)}, folder.journal)
