"""How a training begins: a new run folder, the state in one that exists, or a copy for more epochs.

A training resumes to the bit while what computes it stays the same; where it does not, the run folder has one more
`Session`, and `record_session` says so.
"""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tiedlm.config import differing, to_json
from tiedlm.data.corpus import Corpus, prepare
from tiedlm.data.streams import Streams
from tiedlm.errors import RunError
from tiedlm.losses.augmented import select_implementation
from tiedlm.native.build import native_library
from tiedlm.native.device import device_name, processor, resolve_device
from tiedlm.nn.cells import select_form
from tiedlm.nn.config import GRUConfig, RHNConfig
from tiedlm.nn.model import LanguageModel, State
from tiedlm.runs.config import RunConfig, RuntimeConfig
from tiedlm.runs.folder import Progress, RunFolder, RunRecord, Session, check_free
from tiedlm.runs.load import Run, load_run, model_of, read_tensors, run_corpus, tensors_to_bytes
from tiedlm.seeding import generator
from tiedlm.training.display import Display

CONDITIONS = (
    *("processor", "device", "tiedlm", "commit", "torch", "numpy", "python"),
    *("threads", "processes", "cpu_capability", "native", "loss", "cells"),
)
"""What of an environment the last digits of a result depend on: machine, versions, code, and what computes it."""


@dataclass(kw_only=True)
class TrainerState:
    """A training at one instant."""

    config: RunConfig
    corpus: Corpus
    model: LanguageModel
    carried: State
    """Of all streams."""
    progress: Progress

    def to_bytes(self) -> bytes:
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        return tensors_to_bytes(tensors | {f"carried.{index}": part for index, part in enumerate(self.carried)})

    def weights(self) -> bytes:
        return tensors_to_bytes(self.model.state_dict())


def create_run(
    config: RunConfig,
    run_dir: Path,
    start_from: Path | None = None,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    processes: int = 1,
) -> RunFolder:
    """Make the run folder of a new training, with the state before its first window; arguments as for `loop.train`."""
    check_free(run_dir)  # also done where it is made, but a text may take minutes to prepare
    device = resolve_device(config.runtime.device)
    set_threads(config.runtime.threads)
    parent = None if start_from is None else load_run(start_from)
    corpus = prepare(config.corpus, data_dir=data_dir, cache_dir=cache_dir)
    streams = Streams(corpus.splits["train"].ids, config.training.streams, end_id=corpus.vocabulary.end_id)
    streams.window_count(config.training.steps)  # which refuses a text that is too short
    model = _initial_model(config, corpus, parent).to(device)
    progress = Progress(generation=1 if parent is None else parent.folder.record.progress.generation + 1)
    carried = model.initial_state(config.training.streams)
    state = TrainerState(config=config, corpus=corpus, model=model, carried=carried, progress=progress)
    environment = describe_run(config, len(corpus.vocabulary), processes)
    origin = parent and {
        "path": str(parent.folder.path),
        "recipe": parent.config["recipe"],
        "seed": parent.config["seed"],
        "weights_sha256": parent.weights_sha256,
    }
    record = RunRecord(
        progress=progress,
        sessions=(Session(epoch=1, window=0, runtime=config.runtime, environment=environment),),
        corpus=corpus.provenance,
        parent=origin,
    )
    return RunFolder.create(run_dir, config, corpus.vocabulary, record, state=state.to_bytes())


def restore_run(
    folder: RunFolder,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    runtime: RuntimeConfig | None = None,
) -> TrainerState:
    """Return the training in a run folder as it was saved last, to go on with `runtime` (None: the one it has).

    Raises:
        RunError: a file of the folder is damaged, or the corpus is not the one that the training began with.
        ConfigError: a device that does not exist here.
    """
    folder.check()
    config = folder.config()
    if runtime is None:
        set_threads(folder.record.sessions[-1].environment["threads"])
    else:
        config = replace(config, runtime=runtime)
        set_threads(runtime.threads)
    device = resolve_device(config.runtime.device)
    corpus = run_corpus(folder, data_dir, cache_dir)
    tensors = read_tensors(folder, "state")
    parameters = {name[len("model.") :]: t for name, t in tensors.items() if name.startswith("model.")}
    model = model_of(config.model, corpus.vocabulary, parameters, folder.path).to(device)
    fresh = model.initial_state(config.training.streams)
    carried = {name: tensor for name, tensor in tensors.items() if not name.startswith("model.")}
    shapes = {f"carried.{index}": (part.shape, part.dtype) for index, part in enumerate(fresh)}
    progress = replace(folder.record.progress)
    streams = Streams(corpus.splits["train"].ids, config.training.streams, end_id=corpus.vocabulary.end_id)
    windows = streams.window_count(config.training.steps) + config.training.moving_windows
    if {name: (t.shape, t.dtype) for name, t in carried.items()} != shapes or progress.window > windows:
        raise RunError(f"The state in {folder.path} does not fit its config: it was put together from several runs.")
    state = tuple(carried[name].to(device) for name in shapes)
    return TrainerState(config=config, corpus=corpus, model=model, carried=state, progress=progress)


def record_session(folder: RunFolder, state: TrainerState, display: Display, processes: int = 1) -> None:
    """Record that a training resumes, if its runtime or its `CONDITIONS` are not those of before, and say what differs.

    Where the folder, which is locked, is finished, nothing is recorded.
    """
    config, vocab_size = state.config, len(state.corpus.vocabulary)
    before, progress = folder.record.sessions[-1], folder.record.progress
    environment = describe_run(config, vocab_size, processes)
    environment.pop("command")
    pairs = {name: (before.environment.get(name), environment[name]) for name in CONDITIONS}
    pairs["precision"] = (before.runtime.precision, config.runtime.precision)
    changes = {name: (old, new) for name, (old, new) in pairs.items() if old != new}
    if folder.is_finished or not (changes or differing(before.runtime, config.runtime)):
        return
    session = Session(epoch=progress.epoch, window=progress.window, runtime=config.runtime, environment=environment)
    folder.log("move", progress, runtime=to_json(config.runtime))
    folder.save(sessions=(*folder.record.sessions, session))
    if not changes:
        return
    reasons = {name: f" ({reason})" for name, (_, reason) in implementations(config, vocab_size, processes).items()}
    listed = "; ".join(f"{name} {old} before, {new} now{reasons.get(name, '')}" for name, (old, new) in changes.items())
    display.message(
        "The training resumes under other conditions, so its last digits will differ from those of a training that "
        f"was never interrupted: {listed}. This is recorded in the run folder."
    )


def extend_run(run_dir: Path, epochs: int, longer_run_dir: Path) -> RunFolder:
    """Make the run folder of a training of `epochs` epochs that goes on where the one in `run_dir` was saved last.

    What an epoch does depends on its number and on nothing after it, so a training of 40 epochs that is extended to 60
    ends with the bits of one that was to have 60 from the beginning. The shorter run stays as it is, with its scores.

    Raises:
        RunError: `run_dir` is missing, damaged or in use, or has as many epochs; something is at `longer_run_dir`.
        ConfigError: `epochs` is out of range.
    """
    folder = RunFolder.open(run_dir)
    check_free(longer_run_dir)  # before the lock: whoever names the run itself is not told that it is in use
    with folder.lock():
        folder.check()
        config, record = folder.config(), folder.record
        before = config.training.epochs
        check_longer(run_dir, before, epochs)
        progress = record.progress
        place = {"epoch": progress.epoch, "window": progress.window, "time_unix": time.time()}
        extension = {**place, "event": "longer", "epochs": epochs, "epochs_before": before}
        return RunFolder.create(
            longer_run_dir,
            replace(config.with_epochs(epochs), runtime=record.sessions[0].runtime),
            folder.vocabulary(),
            replace(record, scores=None, files={}),
            state=folder.read("state"),
            weights=folder.read("weights") if folder.has_weights else None,
            events=[*(event for event in folder.journal() if event["event"] != "end"), extension],
        )


def check_longer(run_dir: Path, before: int, epochs: int) -> None:
    if epochs <= before:
        raise RunError(
            f"{run_dir} is a training of {before} epochs, and {epochs} are asked for: it can go on for more of them "
            f"only. Name a number above {before}, or train anew without --resume."
        )


def _initial_model(config: RunConfig, corpus: Corpus, parent: Run | None) -> LanguageModel:
    model = LanguageModel(config.model, len(corpus.vocabulary))
    if parent is None:
        model.reset_parameters(generator(config.seed, "initial weights"))
        if config.model.unigram_bias:  # log((count + 1/2) / total) minus its mean, to which softmax is blind
            shares = torch.tensor(corpus.vocabulary.counts, dtype=torch.float64) + 0.5
            logs = (shares / shares.sum()).log()
            assert model.bias is not None
            with torch.no_grad():
                model.bias.copy_(logs - logs.mean())
        return model
    if parent.vocabulary.words != corpus.vocabulary.words:
        raise RunError(
            f"{parent.folder.path} was trained on another vocabulary ({len(parent.vocabulary):,} words) than this "
            f"training's ({len(corpus.vocabulary):,}): start from a run on the same corpus."
        )
    shapes = [{name: t.shape for name, t in either.state_dict().items()} for either in (parent.model, model)]
    if shapes[0] != shapes[1]:  # configs may differ in what has no parameters, such as dropout
        raise RunError(
            f"{parent.folder.path} holds another model ({parent.config['model']}) than this training's "
            f"({to_json(config.model)}): start from a run whose parameters have the same shapes."
        )
    model.load_state_dict(parent.model.state_dict())
    return model


def describe_run(config: RunConfig, vocab_size: int, processes: int = 1) -> dict[str, Any]:
    """Return `describe`, and which implementations compute a training here: its last digits depend on them."""
    names = {
        name: implementation for name, (implementation, _) in implementations(config, vocab_size, processes).items()
    }
    # the library's name is made of sources, compiler, flags and processor
    library = Path(native_library()._name).name.partition(".")[0] if "compiled" in names.values() else None
    here = {"cpu_capability": torch.backends.cpu.get_cpu_capability(), "processes": processes, "native": library}
    return {**describe(config.runtime.device), **here, **names}


def implementations(config: RunConfig, vocab_size: int, processes: int = 1) -> dict[str, tuple[str, str]]:
    """Return the implementation of `loss` and `cells` that a whole window is computed by, each with the reason."""
    device, model, training = torch.device(config.runtime.device).type, config.model, config.training
    if isinstance(model, RHNConfig):
        cell, keep = "rhn", model.keep_state
    else:
        cell, keep = "gru" if isinstance(model, GRUConfig) else "lstm", model.keep_hidden
    cells = select_form(cell, device, masked=keep < 1, units=model.units)
    logits = training.steps * training.streams // processes * vocab_size
    products = torch.bfloat16 if config.runtime.precision == "bfloat16" else torch.float32
    loss = select_implementation(logits=logits, device=device, matmul_dtype=products)
    return {"loss": loss, "cells": cells}


def describe(device: str) -> dict[str, Any]:
    """Return versions, machine, threads, the code's commit and this process's command line, as plain JSON values."""
    return {
        "tiedlm": version("tiedlm"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "processor": processor(),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "commit": commit(),
        "command": shlex.join(sys.orig_argv) or None,
        "started_unix": time.time(),
    }


def set_threads(threads: int | None) -> None:
    if threads is not None and threads != torch.get_num_threads():
        torch.set_num_threads(threads)


def commit() -> str | None:
    """Return the commit of the code where it runs from a git checkout (`+changes` where files differ), else None."""
    here = Path(__file__)
    # a repository that only surrounds the code, as that of a project with its own .venv, does not track this file
    tracked = _git(here.parent, "ls-files", "--error-unmatch", "--", here.name)
    head = _git(here.parent, "rev-parse", "HEAD")
    changes = _git(here.parent, "status", "--porcelain", "--", ".")
    if tracked is None or head is None or changes is None:
        return None
    return head + ("+changes" if changes else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
