"""The processes of a training: how several share one training, and how each is asked to end.

    torchrun --nproc-per-node 2 -m tiedlm train ptb-small-real

With B streams over R ranks, rank r trains the streams r·B/R … (r + 1)·B/R - 1 of every window, with its own part of
the carried state and of the masks. The gradients are summed over the ranks before they are clipped, so that every rank
makes the update that one process with all B streams would make, up to rounding.

A request to end, by a signal or by the death of the launcher, waits until the window in progress is done, so that what
is saved is never half an update. Imports no torch by itself.
"""

from __future__ import annotations

import os
import shlex
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from tiedlm.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from tiedlm.native.ranks import Ranks
    from tiedlm.nn.dropout import Masks
    from tiedlm.nn.model import LanguageModel

PATIENCE = timedelta(days=1)
"""How long ranks wait for one another: the first scores long texts alone. A rank that dies is noticed at once."""
BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
"""On GPUs the gradients go over NCCL, and what ranks tell each other over gloo."""
EXIT_VARIABLE = "TIEDLM_STOPS_WITH_STDIN"
"""Environment variable by which a launcher asks for `exit_with_parent`; elsewhere standard input may end any time."""


def _is_one_of_several() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ["WORLD_SIZE"]) > 1


def is_main_process() -> bool:
    """Return whether this process is to tell the user what happens: of several the first one is."""
    return not _is_one_of_several() or os.environ["RANK"] == "0"


def resume_command(run_dir: Path, data_dir: Path | None = None) -> str:
    """Return the command line that resumes a run with as many processes on this machine as there are now."""
    words = ["tiedlm"]
    if _is_one_of_several():
        words = ["torchrun", "--nproc-per-node", os.environ["LOCAL_WORLD_SIZE"], "-m", "tiedlm"]
    words += ["train", "--resume", str(run_dir)]
    return shlex.join(words if data_dir is None else [*words, "--data-dir", str(data_dir)])


@contextmanager
def process_group(device: str) -> Iterator[Ranks]:
    """Yield the processes that torchrun has started, as one group; this process alone where it has started no others.

    Args:
        device: `cpu`, or `cuda`, of which each process of a machine takes the GPU of its number.

    Raises:
        ConfigError: another device, or more processes than GPUs.
    """
    import torch  # here, so that a command that has nothing to train does not wait for it
    import torch.distributed as dist

    from tiedlm.native.ranks import SINGLE, Ranks

    if not _is_one_of_several():
        yield SINGLE
        return
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
    dist.init_process_group(BACKENDS[device], timeout=PATIENCE)
    try:
        yield Ranks.from_group(None)
    finally:
        dist.destroy_process_group()


class StreamShard:
    """The streams of one rank, of B over all ranks together; a ConfigError where B does not divide over them."""

    def __init__(self, ranks: Ranks, streams: int) -> None:
        if streams % ranks.world_size:
            divisors = [str(count) for count in range(1, streams + 1) if streams % count == 0]
            raise ConfigError(
                f"training.streams is {streams}, which does not divide over {ranks.world_size} processes: each must "
                f"train as many. Start {', '.join(divisors)} of them, or train with another number of streams."
            )
        each = streams // ranks.world_size
        self.streams = streams
        self._ranks, self._local = ranks, slice(ranks.rank * each, (ranks.rank + 1) * each)

    def local(self, tensor: Tensor) -> Tensor:
        """Return this rank's streams of words [T, B] or of a part of the state [.., B, ..]: they lie on axis 1."""
        return tensor[:, self._local].contiguous()

    def gather(self, tensor: Tensor) -> Tensor:
        """Return all streams of what `local` gave each rank; all ranks must call it together."""
        return self._ranks.all_gather(tensor, dim=1)

    def masks(self, model: LanguageModel, generator: torch.Generator) -> Masks | None:
        """Return this rank's part of the masks that one process would draw for all streams, as every rank does."""
        masks = model.draw_masks(self.streams, generator)
        return masks and [None if mask is None else mask[self._local] for mask in masks]


def sum_gradients(parameters: Iterable[Tensor], ranks: Ranks) -> None:
    """Replace the gradient of each parameter by its sum over the ranks, in a single reduction."""
    if ranks.is_single:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    for gradient, total in zip(gradients, ranks.all_reduce_sum(*gradients), strict=True):
        gradient.copy_(total)


class Interrupt:
    """Whether somebody asked to stop."""

    requested = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Note the first signal; a second one stops at once, and the training resumes from its last save."""
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Yield what notes an interrupt (control-C) or a request to end; outside the main thread nothing is noted."""
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before: dict[signal.Signals, Any] = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_with_parent() -> None:
    """End as on SIGTERM when the launcher dies, where it asked for that by `EXIT_VARIABLE`; else do nothing.

    The launcher holds the only writing end of a pipe that is this process's standard input, and never writes. However
    it dies, the system closes that end. (Linux's death signal is bound to the thread that started the process, and
    other systems have none.)
    """
    if os.environ.pop(EXIT_VARIABLE, None):  # removed, since processes that this one starts have another launcher
        threading.Thread(target=_terminate_at_end_of_input, name="exit with parent", daemon=True).start()


def _terminate_at_end_of_input() -> None:
    with suppress(OSError):
        while os.read(0, 1):
            pass
    main = threading.main_thread().ident
    if main is not None:  # to that thread, which handles signals: one that this thread got would not wake it up
        signal.pthread_kill(main, signal.SIGTERM)
