"""Watches a run of Figure 1: keeps its state after every epoch, tells how far it is, and stops it in time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from tiedlm.checkpoint.saving import saving
from tiedlm.checkpoint.tensors import bytes_to_tensors, tensors_to_bytes
from tiedlm.errors import ArgumentError, RunError
from tiedlm.files import write_bytes
from tiedlm.paper.theory_state import EPOCH, Standing
from tiedlm.training.display import Display
from tiedlm.training.duration import duration

TOLD = 10
"""Epochs between two lines."""
FIT_IN_EPOCHS = 10
"""About as many epochs as take the time of training the classifier alone, which follows the last one."""
SECONDS = "seconds"
"""The tensor of a state that holds the seconds of training before it."""


class OutOfTimeError(Exception):
    """What comes next would end after the budget; the state is kept."""


@final
class Watch:
    """Called after each epoch of a run.

    Args:
        name: the run's, for messages.
        epochs: that it has.
        path: where its state is kept.
        display: is told how far it is.
        deadline: on the monotonic clock; None: no limit.
    """

    def __init__(self, name: str, epochs: int, path: Path, display: Display, deadline: float | None) -> None:
        self._name, self._epochs, self._path, self._display, self._deadline = name, epochs, path, display, deadline
        self._began = self._last = time.monotonic()
        self._before = 0.0

    def state(self) -> dict[str, Tensor] | None:
        """Return the state to go on from, and count the seconds behind it; None where there is none.

        Raises:
            RunError: it is damaged.
        """
        if not self._path.is_file():
            return None
        try:
            found = bytes_to_tensors(self._path.read_bytes())
            self._before = float(found[SECONDS])
            self.tell(f"{self._name}: goes on after epoch {int(found[EPOCH])} of {self._epochs}")
            return found
        except (ArgumentError, KeyError, RuntimeError) as error:
            raise RunError(f"{self._path} is damaged ({error}). Delete it to begin that run anew.") from error

    def seconds(self) -> float:
        """Return the seconds of training so far, those before an interruption included."""
        return self._before + time.monotonic() - self._began

    def tell(self, text: str) -> None:
        """Show a line."""
        self._display.message(text)

    def __call__(self, standing: Standing) -> None:
        """Keep the state; tell of it; stop where what comes next would end too late.

        Raises:
            OutOfTimeError: it would.
            RunError: the disk is full or fails.
        """
        now = time.monotonic()
        took, self._last = now - self._last, now
        self._keep(standing)
        if standing.epoch % TOLD == 0:
            self.tell(f"{self._name}: epoch {standing.epoch} of {self._epochs}, {duration(self.seconds())}")
        ahead = took * (FIT_IN_EPOCHS if standing.epoch == self._epochs else 1)
        if self._deadline is not None and now + ahead > self._deadline:
            self.tell(f"{self._name}: kept after epoch {standing.epoch} of {self._epochs}, {duration(self.seconds())}")
            raise OutOfTimeError

    def _keep(self, standing: Standing) -> None:
        seconds = torch.tensor(self.seconds(), dtype=torch.float64)
        with saving(self._path):
            write_bytes(self._path, tensors_to_bytes({**standing.tensors(), SECONDS: seconds}))
