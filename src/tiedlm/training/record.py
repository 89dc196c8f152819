"""What a training leaves in its run folder, state and journal; of several ranks the first writes."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tiedlm.checkpoint import RunFolder
from tiedlm.native.ranks import Ranks
from tiedlm.training.share import Share
from tiedlm.training.state import Progress, TrainingState


class Record:
    """The run folder of a training that its ranks write to together.

    Args:
        folder: the run folder, locked by the first rank.
        ranks: the processes.
        share: which streams this one holds.
        save_seconds: how often the state is saved, see `RuntimeConfig`.
    """

    def __init__(self, folder: RunFolder, ranks: Ranks, share: Share, save_seconds: float) -> None:
        self.folder, self._ranks, self._share, self._save_seconds = folder, ranks, share, save_seconds
        self._saved = time.monotonic()

    @property
    def path(self) -> Path:
        """Where the run folder is."""
        return self.folder.path

    @property
    def overdue(self) -> bool:
        """Whether the state was last saved too long ago, by the first rank's clock."""
        return self._ranks.is_main and time.monotonic() - self._saved >= self._save_seconds

    def save(self, state: TrainingState, more: dict[str, bytes] | None = None) -> None:
        """Put the state of all streams on the disk, in one step with `more`; all ranks must do so together."""
        whole = replace(state, carried=self._share.whole(state.carried))
        self._ranks.on_rank0(lambda: self.folder.commit({**whole.contents(), **(more or {})}, self.folder.journal))
        self._saved = time.monotonic()

    def note(self, progress: Progress, **news: Any) -> None:
        """Write a line into the journal; it counts from the next saving on."""
        if self._ranks.is_main:
            place = {"epoch": progress.epoch, "window": progress.window, "time_unix": time.time()}
            self.folder.journal.append({**place, **news})
