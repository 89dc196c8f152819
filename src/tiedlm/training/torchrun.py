"""Trainings that `torchrun` starts as several processes: how they find each other. Imports no torch by itself.

torchrun --nproc-per-node 2 -m tiedlm train ptb-small-real
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from tiedlm.errors import ConfigError

if TYPE_CHECKING:
    from tiedlm.native.ranks import Ranks

PATIENCE = timedelta(days=1)
"""How long ranks wait for one another: the first scores long texts alone. A rank that dies is noticed at once."""
BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
"""On GPUs the gradients go over NCCL, and what ranks tell each other over gloo."""


def is_one_of_several() -> bool:
    """Return whether torchrun has started this process as one of several."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ["WORLD_SIZE"]) > 1


def speaks() -> bool:
    """Return whether this process tells the user what happens: of several the first one does."""
    return not is_one_of_several() or os.environ["RANK"] == "0"


def program() -> list[str]:
    """Return the words with which a command line begins that starts as many processes on this machine as there are."""
    if not is_one_of_several():
        return ["tiedlm"]
    return ["torchrun", "--nproc-per-node", os.environ["LOCAL_WORLD_SIZE"], "-m", "tiedlm"]


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """Yield the processes that torchrun has started, as one group; this process alone where it has started no others.

    Args:
        device: `cpu`, or `cuda`, of which each process of a machine takes the GPU of its number.

    Raises:
        ConfigError: another device, or more processes than GPUs.
    """
    import torch.distributed as dist  # here, so that a command that has nothing to train does not wait for it

    from tiedlm.native.ranks import SINGLE, Ranks

    if not is_one_of_several():
        yield SINGLE
        return
    _choose(device)
    dist.init_process_group(BACKENDS[device], timeout=PATIENCE)
    try:
        yield Ranks.from_group(None)
    finally:
        dist.destroy_process_group()


def _choose(device: str) -> None:
    import torch

    if device not in BACKENDS:
        raise ConfigError(
            f"runtime.device is {device!r}, but several processes train on 'cpu' or on 'cuda', where each takes the "
            "GPU of its own number. Choose one of the two, or start one process."
        )
    if device == "cuda":
        number, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if number >= count:
            raise ConfigError(
                f"There are {count} GPUs here for {os.environ['LOCAL_WORLD_SIZE']} processes: give torchrun a "
                f"--nproc-per-node of at most {count}, or train with --runtime.device cpu."
            )
        torch.cuda.set_device(number)
