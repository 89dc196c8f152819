"""Whether `torch.compile` can make loops for a CPU on this machine."""

from __future__ import annotations

import functools

import torch
from torch import Tensor


@functools.cache
def missing_compiler() -> str | None:
    """Return why nothing can be compiled for the CPU here, in words, or None if it can.

    What `torch.compile` needs (a C++ compiler, Python's headers, a folder to write to) differs between its versions,
    so a loop of one line is compiled once in a process, and whatever stops it is the reason.
    """
    try:
        torch.compile(_double, fullgraph=True)(torch.ones(64))
    except Exception as error:
        return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    return None


def _double(values: Tensor) -> Tensor:
    return values + values
