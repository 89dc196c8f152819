"""The live table of a launch, drawn by rich."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import final

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tiedlm.errors import printable
from tiedlm.launching.job import State
from tiedlm.launching.standing import Row
from tiedlm.training.duration import duration

HEADINGS = ("run", "state", "epoch", "train CE", "valid", "words/s", "left")
CAPTION = "Perplexities; train CE: of the cross-entropy alone, dropout on; valid: of the last epoch, then the best."
ORDER = (State.TRAINING, State.FAILED, State.STOPPED, State.WAITING, State.FINISHED)
"""What is trained stands first: a table that is longer than the terminal is cut at its end."""
EVERY_SECONDS = 0.5


@final
class LiveTable:
    """A row for each job, drawn anew twice a second, and below it why jobs have failed.

    Args:
        console: where to draw; None is the standard output.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._live = Live(console=console, auto_refresh=False)
        self._drawn = -EVERY_SECONDS
        self._rows: Sequence[Row] = ()
        self._live.start()

    def message(self, text: str) -> None:
        """Print a line above the table."""
        self._live.console.print(printable(text, keep="\n"), markup=False, highlight=False)

    def show(self, rows: Sequence[Row]) -> None:
        """Draw the table, when the last time is long enough ago."""
        self._rows = rows
        if time.monotonic() - self._drawn >= EVERY_SECONDS:
            self._live.update(table(sorted(rows, key=lambda row: ORDER.index(row.outcome.state))), refresh=True)
            self._drawn = time.monotonic()

    def close(self) -> None:
        """Leave the table as it is now, in the order of the jobs, and say why what failed did."""
        self._live.update(table(self._rows), refresh=True)
        self._live.stop()
        for row in self._rows:
            if row.outcome.state is State.FAILED:
                self.message(f"{row.outcome.job.name} failed: {row.outcome.reason} (log: {row.outcome.log})")


def table(rows: Sequence[Row]) -> Table:
    """Return the rows as a table."""
    drawn = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=CAPTION, caption_justify="left")
    for column, heading in enumerate(HEADINGS):
        drawn.add_column(heading, justify="left" if column < 2 else "right", no_wrap=column > 0, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(printable(cell)) for cell in _cells(row)))
    return drawn


def _cells(row: Row) -> list[str]:
    cells, standing = [row.outcome.job.name, row.outcome.state.value], row.standing
    if standing is None:
        return [*cells, f"0/{row.epochs}", "", "", "", ""]
    is_over = row.outcome.state is State.FINISHED
    valid = standing.best_valid_perplexity if is_over else standing.valid_perplexity
    return [
        *cells,
        f"{standing.epoch}/{row.epochs}",
        f"{standing.train_perplexity:.2f}",
        f"{valid:.2f}",
        f"{standing.words_per_second:,.0f}",
        "" if row.seconds_left is None else duration(row.seconds_left),
    ]
