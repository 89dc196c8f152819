"""What commands print: labelled values and tables, drawn by rich on a terminal and in plain columns in a pipe."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import Any

Row = Sequence[str]


def print_values(values: dict[str, Any]) -> None:
    """Print `label: value`, a line each; None is left out."""
    for label, value in values.items():
        if value is not None:
            print(f"{label}: {value}")


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a value as JSON; numbers that JSON lacks (infinity, not-a-number) become null."""
    print(json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, indent=indent))


def print_table(headings: Row, rows: Sequence[Row], *, align: str = "lr", title: str | None = None) -> None:
    """Print a table; `align` has `l` or `r` for each column, and its last letter is that of all further ones."""
    align = align.ljust(len(headings), align[-1])
    if sys.stdout.isatty():
        _print_drawn(headings, rows, align, title)
        return
    if title:
        print(title)
    widths = [max(len(row[column]) for row in [headings, *rows]) for column in range(len(headings))]
    for row in [headings, *rows]:
        cells = [
            cell.ljust(width) if side == "l" else cell.rjust(width)
            for cell, width, side in zip(row, widths, align, strict=True)
        ]
        print("  ".join(cells).rstrip())


def _print_drawn(headings: Row, rows: Sequence[Row], align: str, title: str | None) -> None:
    from rich import box  # here, so that a pipe does not wait for what it does not use
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading, side in zip(headings, align, strict=True):
        left = side == "l"
        table.add_column(heading, justify="left" if left else "right", overflow="fold", no_wrap=not left)
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
