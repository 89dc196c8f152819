"""The compiled steps of recurrent layers: which there are, and whether a layer on a CPU takes them."""

from __future__ import annotations

import torch

from tiedlm.errors import ArgumentError
from tiedlm.native.build import compiler_unavailable

COMPILED_UNITS = 100
"""Units from which they are: below, a training may end before the compiler's seconds pay."""

LOOPS = {torch.float32: "float32", torch.float64: "float64"}
"""Types that there are loops for."""
MOST_LANES = 16
"""Numbers in the widest vector that the loops know, 64 bytes of float32."""


def check_type(dtype: torch.dtype, instead: str) -> None:
    """Refuse numbers that there are no loops for, and name the form that takes them.

    Raises:
        ArgumentError: they are neither float32 nor float64.
    """
    if dtype not in LOOPS:
        raise ArgumentError(
            f"The layer's numbers are {dtype}, but compiled steps take {' or '.join(map(str, LOOPS))}: convert the "
            f"model, or use {instead}."
        )


def why_not(units: int) -> str | None:
    """Return why the steps of a layer of so many units are not compiled here, in words, or None where they are."""
    if units < COMPILED_UNITS:
        return f"with fewer than {COMPILED_UNITS} units a compiler's seconds may not pay"
    if torch.compiler.is_compiling():
        return "torch.compile cannot look into a call of C++"
    missing = compiler_unavailable()
    return None if missing is None else f"steps cannot be compiled here ({missing})"
