"""Whether the steps of a recurrent layer on a CPU are compiled."""

from __future__ import annotations

import torch

from tiedlm.native.compiler import missing_compiler

COMPILED_UNITS = 100
"""Units from which they are: below, a training may end before the compiler's seconds pay."""


def why_not(units: int) -> str | None:
    """Return why the steps of a layer of so many units are not compiled here, in words, or None where they are."""
    if units < COMPILED_UNITS:
        return f"with fewer than {COMPILED_UNITS} units a compiler's seconds may not pay"
    if torch.compiler.is_compiling():
        return "torch.compile cannot look into a call of C++"
    missing = missing_compiler()
    return None if missing is None else f"steps cannot be compiled here ({missing})"
