"""From the numbers of a training to what is shown and what is written down of it."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from tiedlm.errors import TrainingError
from tiedlm.evaluation.perplexity import exp
from tiedlm.runs.config import TrainingConfig
from tiedlm.runs.folder import Progress
from tiedlm.training.display import EpochReport, WindowReport
from tiedlm.training.schedule import learning_rate


@final
@dataclass(frozen=True, kw_only=True)
class Mark:
    """How far an epoch was when this process took it up: another machine may have trained what lies before."""

    window: int = 0
    words: int = 0
    seconds: float = 0.0

    @classmethod
    def of(cls, progress: Progress) -> Mark:
        """Return where an epoch is now."""
        return cls(window=progress.window, words=progress.words, seconds=progress.seconds)


def window_report(progress: Progress, training: TrainingConfig, windows: int, mark: Mark) -> WindowReport:
    """Return where an epoch of `windows` windows stands; speed, and what is left by it, are those since the mark."""
    seconds = progress.seconds - mark.seconds
    rate = (progress.words - mark.words) / max(seconds, 1e-9)
    a_window = seconds / max(progress.window - mark.window, 1)
    left = (training.epochs - progress.epoch + 1) * windows - progress.window
    return WindowReport(
        epoch=progress.epoch,
        epochs=training.epochs,
        window=progress.window,
        windows=windows,
        loss=progress.loss_sum / progress.words,
        cross_entropy=progress.cross_entropy_sum / progress.words,
        words_per_second=rate,
        seconds_left=left * a_window,
    )


def epoch_report(
    progress: Progress, training: TrainingConfig, valid_perplexity: float, best: bool, seconds: float
) -> EpochReport:
    """Return what the epoch that has just ended came to; `seconds` with its validation."""
    return EpochReport(
        epoch=progress.epoch,
        epochs=training.epochs,
        learning_rate=learning_rate(training, progress.epoch),
        loss=progress.loss_sum / progress.words,
        cross_entropy=progress.cross_entropy_sum / progress.words,
        valid_perplexity=valid_perplexity,
        best=best,
        words_per_second=progress.words / max(progress.seconds, 1e-9),
        seconds=seconds,
        seconds_left=(training.epochs - progress.epoch) * seconds,
    )


def epoch_record(report: EpochReport) -> dict[str, Any]:
    """Return what the journal says of an epoch."""
    left_out = {"epoch", "epochs", "loss", "cross_entropy", "seconds_left"}
    kept = {name: value for name, value in asdict(report).items() if name not in left_out}
    means = {"train_loss": report.loss, "train_cross_entropy_perplexity": exp(report.cross_entropy)}
    return {**kept, **means}


def advice(error: TrainingError, progress: Progress, run: Path) -> TrainingError:
    """Return the error of a loss that is no longer finite, with where it happened and what may help."""
    return TrainingError(
        f"{error} It happened in epoch {progress.epoch}, window {progress.window}. The last good state "
        f"is kept in {run}. Try a smaller --training.learning-rate, a smaller "
        "--training.clip-norm or, with the augmented loss, a smaller --loss.gamma."
    )


def way_on(run: Path) -> str:
    """Return how to go on with a training that memory did not suffice for, in the middle of an update perhaps."""
    command = f"tiedlm train --resume {shlex.quote(str(run))}"
    return f"The state saved last is kept; with more memory, this goes on with it: {command}"
