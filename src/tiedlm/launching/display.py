"""What a launch shows: a live table on a terminal, a line for each piece of news in a pipe or log."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Protocol, final

from tiedlm.errors import printable
from tiedlm.launching.job import State
from tiedlm.launching.standing import Row, Standing
from tiedlm.training.duration import duration


class Display(Protocol):
    """Where a launch reports to."""

    def message(self, text: str) -> None:
        """Show a line of text."""
        ...

    def show(self, rows: Sequence[Row]) -> None:
        """Show where the jobs are; called several times a second, with a row for each job in their order."""
        ...

    def close(self) -> None:
        """Take down what is live."""
        ...


@final
class PlainDisplay:
    """A line for each job that changes its state or ends an epoch."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[State, int]] = {}

    def message(self, text: str) -> None:
        """Print a line."""
        print(printable(text, keep="\n"), flush=True)

    def show(self, rows: Sequence[Row]) -> None:
        """Print what is new."""
        width = max((len(row.outcome.job.name) for row in rows), default=0)
        for row in rows:
            news = (row.outcome.state, row.standing.epoch if row.standing else 0)
            if self._told.get(str(row.outcome.job.run_dir), (State.WAITING, news[1])) != news:
                self.message(f"{row.outcome.job.name:<{width}}  {line(row)}")
            self._told[str(row.outcome.job.run_dir)] = news

    def close(self) -> None:
        """Do nothing: nothing is live."""


def for_stream() -> Display:
    """Return the live table where standard output is a terminal, else plain lines."""
    if sys.stdout.isatty():
        from tiedlm.launching.live_table import LiveTable  # here, so that a pipe does not wait for rich

        return LiveTable()
    return PlainDisplay()


def line(row: Row) -> str:
    """Return where a job is as one line, without its name."""
    state, standing = row.outcome.state, row.standing
    if state is State.FINISHED:
        best = "" if standing is None else f"  valid perplexity {standing.best_valid_perplexity:.2f}"
        return f"{state}{best}"
    if state is State.FAILED:
        return f"{state}: {row.outcome.reason} (log: {row.outcome.log})"
    why = "" if row.outcome.reason is None else f" ({row.outcome.reason})"
    return f"{state}{why}{'' if standing is None else f'  {numbers(row, standing)}'}"


def numbers(row: Row, standing: Standing) -> str:
    """Return the figures of the last epoch as one line."""
    left = "" if row.seconds_left is None else f"  left {duration(row.seconds_left)}"
    return (
        f"epoch {standing.epoch}/{row.epochs}  train CE perplexity {standing.train_perplexity:.2f}  "
        f"valid perplexity {standing.valid_perplexity:.2f}  {standing.words_per_second:,.0f} words/s{left}"
    )
