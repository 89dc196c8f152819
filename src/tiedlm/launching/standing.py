"""Where a run stands, by its journal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from tiedlm.checkpoint.folder import RunFolder
from tiedlm.errors import RunError
from tiedlm.launching.job import Outcome


@final
@dataclass(frozen=True, kw_only=True)
class Standing:
    """The epochs that are done; the figures are those of the last one."""

    epoch: int
    train_perplexity: float
    """Of the cross-entropy alone, dropout on."""
    valid_perplexity: float
    best_valid_perplexity: float
    """The best of all epochs so far, whose weights are kept."""
    words_per_second: float
    seconds: float
    """Time of the epoch, validation included."""
    time_unix: float
    """When it ended."""

    def seconds_left(self, epochs: int, since_unix: float, now_unix: float) -> float:
        """Return an estimate of the time to the end, for a process that has worked on it since `since_unix`."""
        worked = now_unix - max(self.time_unix, since_unix)
        return max(0.0, (epochs - self.epoch) * self.seconds - worked)


@final
@dataclass(frozen=True, kw_only=True)
class Row:
    """What there is to show of a job."""

    outcome: Outcome
    standing: Standing | None
    """None before the first epoch is done."""
    seconds_left: float | None
    """Estimate, while it is trained; None before there is one."""

    @property
    def epochs(self) -> int:
        """Return how many epochs it is to have."""
        return self.outcome.job.config.training.epochs


@final
class Watch:
    """The standing of one run, read again only when the run was saved since."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._seen: int | None = None
        self._standing: Standing | None = None

    def look(self) -> Standing | None:
        """Return where the run stands; None before its first epoch is done."""
        try:
            saved = (self._run_dir / "manifest.json").stat().st_mtime_ns
            if saved != self._seen:
                self._standing = standing(RunFolder.open(self._run_dir).journal.records())
                self._seen = saved
        except (OSError, RunError, KeyError):
            pass  # not made yet, or damaged or of another version, which its own process will tell
        return self._standing


def standing(records: list[dict[str, Any]]) -> Standing | None:
    """Return where a run with this journal stands."""
    epochs = [record for record in records if record["event"] == "epoch"]
    if not epochs:
        return None
    last = epochs[-1]
    return Standing(
        epoch=last["epoch"],
        train_perplexity=last["train_cross_entropy_perplexity"],
        valid_perplexity=last["valid_perplexity"],
        best_valid_perplexity=min(record["valid_perplexity"] for record in epochs),
        words_per_second=last["words_per_second"],
        seconds=last["seconds"],
        time_unix=last["time_unix"],
    )
