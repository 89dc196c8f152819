"""A training that goes on elsewhere than it began: on another device, in another precision, with other threads.

The config of a run folder is fixed, and so is what its environment tells of the beginning. Where a training goes on is
in the role `moves`, a list, oldest first, of which the last entry counts:

    [{"epoch": 23, "window": 410, "runtime": {"device": "cpu", ...}, "environment": {"processor": "...", ...}}, ...]

An entry is made by `move`, which changes the runtime, and by every training that goes on where `PLACE` is another.
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
from tiedlm.data.text import Vocabulary
from tiedlm.errors import RunError
from tiedlm.files import json_bytes
from tiedlm.runs.config import RunConfig, RuntimeConfig

Moves = list[dict[str, Any]]

PLACE = (
    *("processor", "device", "tiedlm", "commit", "torch", "numpy", "python"),
    *("threads", "processes", "cpu_capability", "native", "loss", "cells"),
)
"""What of an environment a result may depend on beside the runtime: machine, versions, code, and what computes it."""


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


def current_environment(folder: RunFolder) -> dict[str, Any]:
    """Return what the run folder tells of where its training was last."""
    moves = moves_of(folder)
    return moves[-1]["environment"] if moves else folder.read_json("environment")


def current_threads(folder: RunFolder) -> int:
    """Return the threads that the training in a run folder has now."""
    return current_environment(folder)["threads"]


def move(run_dir: Path, runtime: RuntimeConfig) -> None:
    """Let the training in a run folder go on with another runtime, from where its state was saved last.

    Raises:
        RunError: the folder is missing, damaged or in use, or its training is finished.
        ConfigError: a device that does not exist here.
    """
    from tiedlm.native.device import resolve_device  # here, with what loads torch
    from tiedlm.training.environment import set_threads

    folder = RunFolder.open(run_dir)
    resolve_device(runtime.device)
    with folder.lock():
        if folder.has("scores"):
            raise RunError(f"{folder.path} is finished: there is nothing left to be trained elsewhere.")
        folder.check_whole()
        folder.journal.rewind()
        set_threads(runtime.threads)
        config = replace(current_config(folder), runtime=runtime)
        _note(folder, runtime, _here(config, vocab_size=len(Vocabulary.from_json(folder.read_json("vocabulary")))))


def go_on(folder: RunFolder, config: RunConfig, vocab_size: int, processes: int = 1) -> dict[str, tuple[Any, Any]]:
    """Take the journal back to the state saved last, note where the training goes on from there, and what is other.

    It is noted if machine, versions, code or implementations are not those of before, and the training is not finished.

    Args:
        folder: locked.
        config: of the training now, whose threads PyTorch has.
        vocab_size: V.
        processes: that train together.

    Returns:
        Name → value before and now, of what is other than before.
    """
    folder.journal.rewind()
    if folder.has("scores"):
        return {}
    before, here = current_environment(folder), _here(config, vocab_size, processes)
    changes = {name: (before[name], here[name]) for name in PLACE if name in before and before[name] != here[name]}
    if changes:
        _note(folder, config.runtime, here)
    return changes


def _here(config: RunConfig, vocab_size: int, processes: int = 1) -> dict[str, Any]:
    from tiedlm.training.environment import describe_run  # here: it loads torch

    return {name: value for name, value in describe_run(config, vocab_size, processes).items() if name != "command"}


def _note(folder: RunFolder, runtime: RuntimeConfig, here: dict[str, Any]) -> None:
    told = folder.read_json("progress")
    place, to = {"epoch": told["epoch"], "window": told["window"]}, to_json(runtime)
    entry = {**place, "runtime": to, "environment": here}
    folder.journal.append({**place, "time_unix": time.time(), "event": "move", "runtime": to})
    folder.commit({"moves": json_bytes([*moves_of(folder), entry], sort_keys=False)}, folder.journal)
