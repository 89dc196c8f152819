"""What commands print: labelled values and tables, drawn by rich on a terminal and in plain columns in a pipe.

Words, file names and messages may hold anything, so all output goes through this file: text passes `errors.printable`,
and JSON and tab-separated rows have lossless escapes.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from tiedlm.errors import UNPRINTABLE, printable

Row = Sequence[str]


def say(text: object = "", file: TextIO | None = None) -> None:
    """Print text for a person at once."""
    print(printable(str(text), keep="\n"), file=file, flush=True)


def print_values(values: dict[str, Any]) -> None:
    for label, value in values.items():
        print(f"{label}: {printable(str(value))}")


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a value as JSON; numbers that JSON lacks (infinity, not-a-number) become null.

    In strings, what a terminal must not see is written as JSON's own escapes.
    """
    text = json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, indent=indent)
    print(UNPRINTABLE.sub(lambda match: match[0] if match[0] == "\n" else json.dumps(match[0])[1:-1], text))


def print_tab_separated(cells: Sequence[Any]) -> None:
    """Print a row of tab-separated cells: numbers with six digits after the point, truth values as 0 or 1.

    Escapes as in `errors.printable`; a backslash that would read as one is written `\\u005c`, so none is ambiguous.
    """
    texts = [f"{c:.6f}" if isinstance(c, float) else str(int(c) if isinstance(c, bool) else c) for c in cells]
    print("\t".join(printable(re.sub(r"\\(?=u[0-9a-f]{4}|U[0-9a-f]{8})", r"\\u005c", text)) for text in texts))


def print_table(headings: Row, rows: Sequence[Row], *, align: str = "lr", title: str | None = None) -> None:
    """Print a table; `align` has `l` or `r` for each column, the last letter also for all further ones."""
    align = align.ljust(len(headings), align[-1])
    headings, rows = list(map(printable, headings)), [list(map(printable, row)) for row in rows]
    title = title and printable(title, keep="\n")
    if sys.stdout.isatty():
        _print_drawn(headings, rows, align, title)
        return
    if title:
        print(title)
    columns = []
    for column, side in zip(zip(headings, *rows, strict=True), align, strict=True):
        width = max(map(len, column))
        columns.append([cell.ljust(width) if side == "l" else cell.rjust(width) for cell in column])
    for row in zip(*columns, strict=True):
        print("  ".join(row).rstrip())


def _print_drawn(headings: Row, rows: Sequence[Row], align: str, title: str | None) -> None:
    from rich import box  # here, so that a pipe does not wait for what it does not use
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title and Text(title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
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
