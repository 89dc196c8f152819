"""The command line of a benchmark whose figures go to a CSV, and what it prints."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from machine import append_csv

Row = dict[str, object]
LAST_LINES = 10
"""What is shown of a process that failed: the error, and where it came from."""


def positive(text: str) -> int:
    """Return a number from the command line that must be 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} was given, but a whole number of 1 or more is due")
    return int(text)


def parser_of(text: str | None, results: Path) -> argparse.ArgumentParser:
    """Return a parser that is described by the first line of `text` and knows `--threads` and `--output`."""
    parser = argparse.ArgumentParser(description=(text or "").partition("\n")[0])
    parser.add_argument("--threads", type=positive, help="threads of PyTorch (default: its own choice)")
    parser.add_argument("--output", type=Path, default=results, help="CSV to append to")
    return parser


def printed_by(script: str, arguments: Sequence[str]) -> Any:
    """Return the JSON value that a script prints in a process of its own; end with its last lines where it fails."""
    process = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True)
    if process.returncode != 0:
        told = "\n".join(process.stderr.splitlines()[-LAST_LINES:])
        sys.exit(f"{' '.join([script, *arguments])} ended with status {process.returncode}:\n{told}")
    return json.loads(process.stdout)


def write_down(output: Path, rows: Iterable[Row], line: Callable[[Row], str]) -> None:
    """Print a line for each row as it is measured, and append it to the CSV."""
    for row in rows:
        print(line(row), flush=True)
        append_csv(output, row)
