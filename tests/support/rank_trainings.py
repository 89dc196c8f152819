"""Trainings over two processes, and what each of them writes down; the same in one process, to compare with."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from support.small_text import small_config
from tiedlm.config import from_json, to_json
from tiedlm.errors import TiedlmError
from tiedlm.native.ranks import Ranks
from tiedlm.runs.config import LossConfig, RunConfig
from tiedlm.runs.folder import RunFolder
from tiedlm.training import loop, step
from tiedlm.training.display import SilentDisplay
from tiedlm.training.loop import Trainer
from tiedlm.training.start import create_run, restore_run

STEPS, WORDS = 50, 5
"""So many windows of so many words, which are less than one epoch."""
KINDS = {"float32": torch.float32, "float64": torch.float64, "untied": torch.float64}
"""What is trained: the config, in float64 with weight decay; and the untied network with cross-entropy, whose words'
gradient is sparse."""


def write_config(folder: Path) -> RunConfig:
    """Write text and config for the processes into `folder`."""
    config = small_config(folder / "text")
    training = replace(config.training, epochs=2, steps=20, learning_rate=1.0, clip_norm=0.7)
    config = replace(config, training=training, runtime=replace(config.runtime, save_seconds=300.0))
    (folder / "config.json").write_text(json.dumps(to_json(config)))
    return config


def read_config(folder: Path) -> RunConfig:
    """The config that `write_config` has written."""
    return from_json(RunConfig, json.loads((folder / "config.json").read_text()))


def weights_after_steps(folder: Path, run: str, kind: str, ranks: Ranks) -> dict[str, np.ndarray]:
    """Weights and carried state of all streams after `STEPS` windows."""
    config, cache = read_config(folder), folder / "cache"
    if kind == "float64":
        config = replace(config, training=replace(config.training, weight_decay=1e-2))
    if kind == "untied":
        config = replace(config, model=replace(config.model, tied=False), loss=LossConfig())
    ranks.on_rank0(lambda: create_run(config, folder / run, None, None, cache))
    run_folder = RunFolder.open(folder / run)
    state = restore_run(run_folder, None, cache)
    state.model.to(KINDS[kind])
    state.carried = state.model.initial_state(config.training.streams)
    trainer = Trainer(run_folder, state, SilentDisplay(), ranks)
    for inputs, targets in islice(trainer.streams.windows(WORDS), STEPS):
        trainer.train_window(inputs, targets)
    carried = [trainer.shard.gather(part) for part in trainer.state.carried]
    found = {name: weight.numpy() for name, weight in state.model.state_dict().items()}
    sums = [trainer.state.progress.loss_sum, trainer.state.progress.cross_entropy_sum]
    return {**found, "h": carried[0].numpy(), "c": carried[1].numpy(), "sums": np.array(sums)}


def train(folder: Path, run: str, ranks: Ranks, **changes: Any) -> RunFolder:
    """Train the config to its end."""
    config = read_config(folder)
    config = replace(config, **{name: value for name, value in changes.items() if name != "training"})
    config = replace(config, training=replace(config.training, **changes.get("training", {})))
    return loop.train(config, folder / run, cache_dir=folder / "cache", display=SilentDisplay(), ranks=ranks)


def resume(folder: Path, run: str, ranks: Ranks) -> RunFolder:
    """Go on to the end."""
    return loop.resume(folder / run, cache_dir=folder / "cache", display=SilentDisplay(), ranks=ranks)


def at_window(epoch: int, window: int, act: Callable[[], object]) -> Any:
    """A patch of the loop that does something just before a window is trained."""
    whole = Trainer.train_window

    def watched(trainer: Trainer, inputs: Any, targets: Any) -> None:
        if (trainer.state.progress.epoch, trainer.state.progress.window) == (epoch, window):
            act()
        whole(trainer, inputs, targets)

    return mock.patch.object(Trainer, "train_window", watched)


def signalled(number: signal.Signals) -> Callable[[], object]:
    """Send this process a signal."""
    return lambda: os.kill(os.getpid(), number)


def refusal(call: Callable[[], Any]) -> str:
    """What a call is refused with."""
    try:
        call()
    except (TiedlmError, KeyboardInterrupt) as error:
        return f"{type(error).__name__}: {error}"
    return "not refused"


def work(folder: Path, rank: int) -> None:
    """What each of two processes does."""
    ranks, last = Ranks.from_group(None), rank == 1
    for kind in KINDS:
        found: dict[str, Any] = weights_after_steps(folder, f"steps-{kind}", kind, ranks)
        np.savez(folder / f"{kind}-{rank}.npz", **found)
    train(folder, "whole", ranks)
    refusals = {
        "another seed": refusal(lambda: train(folder, "none", ranks, seed=rank)),
        "five streams": refusal(lambda: train(folder, "none", ranks, training={"streams": 5})),
        "too short a text": refusal(lambda: train(folder, "none", ranks, training={"steps": 100_000})),
        "a folder that is there": refusal(lambda: train(folder, "whole", ranks)),
        "no folder": refusal(lambda: resume(folder, "none", ranks)),
        "one that resumes": refusal(lambda: (resume if last else train)(folder, "whole", ranks)),
        "stopped by the last": stopped(folder, "stopped-by-the-last", ranks, at=(1, 5), by=1),
        "stopped by the first": stopped(folder, "stopped-by-the-first", ranks, at=(2, 3), by=0),
        "not a number": not_a_number(folder, ranks),
    }
    (folder / f"refusals-{rank}.json").write_text(json.dumps(refusals))


def stopped(folder: Path, run: str, ranks: Ranks, *, at: tuple[int, int], by: int) -> str:
    """Train until one rank is asked to stop, then go on to the end; return what the first training ended with."""
    with ExitStack() as patches:
        if ranks.rank == by:
            patches.enter_context(at_window(*at, signalled(signal.SIGTERM)))
        ended = refusal(lambda: train(folder, run, ranks))
    ranks.on_rank0(
        lambda: (folder / f"{run}.json").write_text(json.dumps(asdict(RunFolder.open(folder / run).record.progress)))
    )
    resume(folder, run, ranks)
    return ended


def not_a_number(folder: Path, ranks: Ranks) -> str:
    """Train until the last rank's loss is not a number, then go on; return what the first training ended with."""
    whole = vars(step)["linear_augmented_terms"]

    def poisoned(*arguments: Any, **options: Any) -> Any:
        terms = whole(*arguments, **options)
        return terms._replace(total=terms.total * float("nan"))

    with ExitStack() as patches:
        if ranks.rank == 1:
            fault = mock.patch.object(step, "linear_augmented_terms", poisoned)
            patches.enter_context(at_window(1, 6, fault.start))
            patches.callback(fault.stop)
        ended = refusal(lambda: train(folder, "not-a-number", ranks))
    resume(folder, "not-a-number", ranks)
    return ended


def killed(folder: Path, rank: int) -> None:
    """Train, saving now and then, until the last rank is killed; the first says how it ended."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which the first is sent once the last has died
    with at_window(2, 4, signalled(signal.SIGKILL) if rank == 1 else lambda: None):
        runtime = replace(read_config(folder).runtime, save_seconds=0.05)
        ended = refusal(lambda: train(folder, "killed", Ranks.from_group(None), runtime=runtime))
    (folder / f"refusals-{rank}.json").write_text(json.dumps(ended))


def go_on(folder: Path, rank: int) -> None:
    """Go on with the training whose rank was killed, to its end."""
    resume(folder, "killed", Ranks.from_group(None))
