"""A command's arguments: a dataclass with a docstring a field becomes options, help and checked values (by tyro).

Mistakes come out as errors of this package, also those that our own configs raise while tyro makes them.
"""

from __future__ import annotations

import inspect
import io
import shutil
import sys
import textwrap
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from tiedlm.errors import ArgumentError, TiedlmError, printable

Arguments = TypeVar("Arguments")

RunPath = Annotated[Path, tyro.conf.arg(metavar="RUN"), tyro.conf.Positional]
"""The run folder that a command reads, as its first argument."""
Directory = Annotated[Path | None, tyro.conf.arg(metavar="DIR")]
"""A folder, or None for the usual one."""
Device = Annotated[str, tyro.conf.arg(metavar="DEVICE")]
"""Where a model is to live: `cpu`, `cuda` or another device that PyTorch names."""
Switch = Annotated[bool, tyro.conf.FlagCreatePairsOff]
"""An option without a value, off unless it is given."""


def parse(
    kind: type[Arguments], words: Sequence[str], command: str, default: Arguments | None = None, more: str = ""
) -> Arguments:
    """Return the arguments of `tiedlm <command>` as an object of class `kind`.

    Args:
        kind: a dataclass; its docstring is the command's help.
        words: what stands after the command.
        command: the command's name, and perhaps more words for the line of usage.
        default: where the values of options that are not given come from.
        more: another paragraph of the help.

    Raises:
        TiedlmError: what a config raises about a value.
        ArgumentError: an option that is unknown or misses its value, a value of a wrong type, a word too many.
        SystemExit: help was asked for and has been printed.
    """
    options: dict[str, Any] = {} if default is None else {"default": default}
    description = f"{inspect.cleandoc(kind.__doc__ or '')}\n\n{more}"
    help_text, mistakes = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(help_text), redirect_stderr(mistakes):
            return tyro.cli(kind, prog=f"tiedlm {command}", description=description, args=list(words), **options)
    except SystemExit as end:
        if (own := _own_error(end)) is not None:
            raise own from None
        if end.code:
            raise ArgumentError(_without_frame(mistakes.getvalue())) from None
        sys.stdout.write(printable(_wrapped(help_text.getvalue()), keep="\n"))
        raise


def _own_error(error: BaseException | None) -> TiedlmError | None:
    while error is not None and not isinstance(error, TiedlmError):
        error = error.__cause__ or error.__context__
    return error


def _without_frame(told: str) -> str:
    """Return tyro's words on a mistake without their title and lines."""
    lines = [line.rstrip() for line in told.strip("\n").splitlines()]
    return "\n".join(line for line in lines[1:] if line.strip(" -")).strip()


def _wrapped(help_text: str) -> str:
    """Return the help with the lines broken that are wider than the terminal: tyro breaks those of options only."""
    width = shutil.get_terminal_size().columns
    lines = [textwrap.wrap(line, width, break_on_hyphens=False) or [""] for line in help_text.splitlines()]
    return "".join(f"{line}\n" for broken in lines for line in broken)
