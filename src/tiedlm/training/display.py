"""What a training shows while it runs: live progress on a terminal, plain lines in a pipe or log. Imports no torch.

The reports carry numbers, a display only their form; the journal has the same numbers as JSON.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Protocol

from tiedlm.errors import printable


@dataclass(frozen=True, kw_only=True)
class WindowReport:
    """Where an epoch stands."""

    epoch: int
    epochs: int
    window: int
    windows: int
    loss: float
    """Mean loss a word this epoch, in nats (augmented term included, where there is one)."""
    cross_entropy: float
    """Mean cross-entropy a word this epoch, in nats, dropout on."""
    words_per_second: float
    seconds_left: float | None
    """Estimate for the whole training; None before there is one."""


@dataclass(frozen=True, kw_only=True)
class EpochReport:
    """What an epoch came to."""

    epoch: int
    epochs: int
    learning_rate: float
    loss: float
    cross_entropy: float
    valid_perplexity: float
    best: bool
    words_per_second: float
    seconds: float
    """Validation included."""
    seconds_left: float


class Display(Protocol):
    """Where a training reports to: lines of text, every window, every epoch; `close` takes down what is live."""

    def message(self, text: str) -> None: ...
    def window(self, report: WindowReport) -> None: ...
    def epoch(self, report: EpochReport) -> None: ...
    def close(self) -> None: ...


class PlainDisplay:
    """One line an epoch, and one every `every_seconds` within it."""

    def __init__(self, every_seconds: float = 60.0) -> None:
        self._every_seconds = every_seconds
        self._last = time.monotonic()

    def message(self, text: str) -> None:
        print(printable(text, keep="\n"), flush=True)

    def window(self, report: WindowReport) -> None:
        if time.monotonic() - self._last >= self._every_seconds:
            self.message(
                f"epoch {report.epoch}/{report.epochs}  window {report.window}/{report.windows}  "
                f"{_window_numbers(report)}"
            )
            self._last = time.monotonic()

    def epoch(self, report: EpochReport) -> None:
        self.message(_epoch_line(report))
        self._last = time.monotonic()

    def close(self) -> None:
        """Nothing is live."""


class SilentDisplay:
    """Shows nothing: for all processes of a training but the first."""

    def message(self, text: str) -> None: ...
    def window(self, report: WindowReport) -> None: ...
    def epoch(self, report: EpochReport) -> None: ...
    def close(self) -> None: ...


class LiveDisplay:
    """A live bar for the epoch in progress, and a line for each one that is over."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        self._progress = Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[numbers]}"))
        self._task = self._progress.add_task("starting", numbers="", total=None)
        self._progress.start()

    def message(self, text: str) -> None:
        self._progress.console.print(printable(text, keep="\n"), markup=False, highlight=False)

    def window(self, report: WindowReport) -> None:
        self._progress.update(
            self._task,
            description=f"epoch {report.epoch}/{report.epochs}",
            completed=report.window,
            total=report.windows,
            numbers=_window_numbers(report),
        )

    def epoch(self, report: EpochReport) -> None:
        self.message(_epoch_line(report))

    def close(self) -> None:
        self._progress.stop()


def for_stream() -> Display:
    """Return the live display where standard output is a terminal, else the plain one."""
    return LiveDisplay() if sys.stdout.isatty() else PlainDisplay()


def duration(seconds: float) -> str:
    """Return seconds as `1h02m`, `3m07s` or `12s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 60}m{whole % 60:02d}s" if whole >= 60 else f"{whole}s"


def _window_numbers(report: WindowReport) -> str:
    left = "?" if report.seconds_left is None else duration(report.seconds_left)
    return (
        f"loss {report.loss:.4f}  {_perplexity(report.cross_entropy)}  "
        f"{report.words_per_second:,.0f} words/s  left {left}"
    )


def _epoch_line(report: EpochReport) -> str:
    best = " (best)" if report.best else ""
    return (
        f"epoch {report.epoch}/{report.epochs}  learning rate {report.learning_rate:.4g}  loss {report.loss:.4f}  "
        f"train {_perplexity(report.cross_entropy)}  valid perplexity {report.valid_perplexity:.2f}{best}  "
        f"{report.words_per_second:,.0f} words/s  {duration(report.seconds)}  left {duration(report.seconds_left)}"
    )


def _perplexity(cross_entropy: float) -> str:
    from tiedlm.evaluation.perplexity import exp  # here, since it loads torch

    return f"CE perplexity {exp(cross_entropy):.2f}"
