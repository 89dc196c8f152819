"""A command's arguments: a dataclass with a docstring a field becomes options, help and checked values (by tyro).

The errors of our own configs, which tyro would put into a box of its own, come out as they were raised.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from tiedlm.errors import TiedlmError

Arguments = TypeVar("Arguments")

RunPath = Annotated[Path, tyro.conf.arg(metavar="RUN"), tyro.conf.Positional]
"""The run folder that a command reads, as its first argument."""
Directory = Annotated[Path | None, tyro.conf.arg(metavar="DIR")]
"""A folder, or None for the usual one."""
Switch = Annotated[bool, tyro.conf.FlagCreatePairsOff]
"""An option without a value, off unless it is given."""


def parse(kind: type[Arguments], arguments: Sequence[str], command: str, default: Arguments | None = None) -> Arguments:
    """Return the arguments of `tiedlm <command>` as an object of class `kind`.

    Args:
        kind: a dataclass; its docstring is the command's help.
        arguments: the words after the command.
        command: the command's name, and perhaps more words for the line of usage.
        default: where the values of options that are not given come from.

    Raises:
        TiedlmError: what a config raises about a value.
        SystemExit: help was asked for (0), or an argument that tyro does not take (2); it has been printed.
    """
    told = io.StringIO()
    given: dict[str, Any] = {} if default is None else {"default": default}
    try:
        with redirect_stderr(told):
            return tyro.cli(kind, prog=f"tiedlm {command}", args=list(arguments), **given)
    except SystemExit as end:
        if (own := _own_error(end)) is not None:
            raise own from None
        sys.stderr.write(told.getvalue())
        raise


def _own_error(error: BaseException | None) -> TiedlmError | None:
    while error is not None and not isinstance(error, TiedlmError):
        error = error.__cause__ or error.__context__
    return error
