"""The errors a user can cause, and the words they are told in.

Every message says what was asked, what arrived, what is allowed and what to do next. The command line prints a
`TiedlmError` on its own, without a traceback, and ends with status 2; from Python each is also the built-in exception
that a caller would expect (`ValueError` for a wrong argument, for example).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TiedlmError(Exception):
    """Anything a user can cause and mend: the base of all errors of this package."""


class ArgumentError(TiedlmError, ValueError):
    """A function was given a value, shape, dtype or device that it does not take."""


class ConfigError(TiedlmError, ValueError):
    """A recipe, field or combination of fields that does not exist or has no effect."""


class CorpusError(TiedlmError, ValueError):
    """Text or encoded data that is missing, damaged or unusable."""


class RunError(TiedlmError):
    """A run folder that is missing, foreign, damaged, too new or in use."""


class TrainingError(TiedlmError, ArithmeticError):
    """A training that cannot go on, for example because the loss is no longer finite."""


class RanksError(TiedlmError, RuntimeError):
    """Processes that work together have lost one of them."""


def suggestion(asked: str, allowed: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the nearest allowed word, or an empty string where none is near."""
    near = difflib.get_close_matches(asked, list(allowed), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
