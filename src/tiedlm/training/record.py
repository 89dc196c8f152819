"""What a training leaves in its run folder, state and journal; of several ranks the first writes."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tiedlm.native.ranks import Ranks
from tiedlm.runs.folder import Progress, RunFolder
from tiedlm.training.share import Share
from tiedlm.training.start import TrainerState


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

    def save(self, state: TrainerState, weights: bytes | None = None) -> None:
        """Save the state of all streams, in one step with new best weights; all ranks must do so together."""
        whole = replace(state, carried=self._share.whole(state.carried))
        progress = replace(state.progress)
        self._ranks.on_rank0(lambda: self.folder.save(state=whole.to_bytes(), weights=weights, progress=progress))
        self._saved = time.monotonic()

    def note(self, progress: Progress, event: str, **values: Any) -> None:
        """Write a line into the journal; it counts from the next saving on."""
        if self._ranks.is_main:
            self.folder.log(event, progress, **values)
