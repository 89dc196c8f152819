"""Calls of the C++ loops: arrays as pointers, whole numbers as int64, others as double, None as a null pointer."""

from __future__ import annotations

import ctypes
from typing import Any

from torch import Tensor

from tiedlm.native.compiler import compiled_loops

Argument = Tensor | int | float | None


def run_loop(name: str, *arguments: Argument) -> None:
    """Call a function of `loops/` that returns nothing; the arrays live until it is done.

    A tensor is passed as the place of its first number, so its layout is for the caller to see to.

    Raises:
        OSError: nothing can be compiled here.
    """
    loop = getattr(compiled_loops(), name)
    loop.restype = None
    loop(*(_passed(one) for one in arguments))


def _passed(one: Argument) -> Any:
    if one is None:
        return ctypes.c_void_p()
    if isinstance(one, Tensor):
        return ctypes.c_void_p(one.data_ptr())
    return ctypes.c_double(one) if isinstance(one, float) else ctypes.c_int64(one)
