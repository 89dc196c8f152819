"""What a result depends on besides its config: versions, machine, threads, code. Kept in every run folder."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tiedlm.losses.augmented import select_implementation
from tiedlm.native.build import native_library
from tiedlm.native.device import device_name, processor
from tiedlm.nn.cells import select_form
from tiedlm.nn.config import GRUConfig, RHNConfig
from tiedlm.runs.config import RunConfig


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


def describe_run(config: RunConfig, vocab_size: int, processes: int = 1) -> dict[str, Any]:
    """Return `describe`, and which implementations compute a training here: its last digits depend on them.

    Args:
        config: of the training, with the runtime that it has here.
        vocab_size: V.
        processes: that train together.
    """
    forms = {name: form for name, (form, _) in implementations(config, vocab_size, processes).items()}
    library = Path(native_library()._name).name.partition(".")[0] if "compiled" in forms.values() else None
    # the library's name is made of sources, compiler, flags and processor
    here = {"cpu_capability": torch.backends.cpu.get_cpu_capability(), "processes": processes, "native": library}
    return {**describe(config.runtime.device), **here, **forms}


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


def set_threads(threads: int | None) -> None:
    """Give PyTorch so many threads on the CPU; None leaves its choice."""
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
