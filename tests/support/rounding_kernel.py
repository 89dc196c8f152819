"""A kernel of PyTorch that answers in bfloat16, as GPUs' do under autocast, and those of some CPUs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor


@contextmanager
def bfloat16_from(name: str) -> Iterator[None]:
    """Within, autocast is on, and `torch.<name>` computes in float32 and rounds its results."""
    kernel = getattr(torch, name)

    def rounding(*arguments: Any) -> tuple[Tensor, ...]:
        with torch.autocast("cpu", enabled=False):
            return tuple(result.bfloat16() for result in kernel(*arguments))

    with mock.patch.object(torch, name, rounding), torch.autocast("cpu", torch.bfloat16):
        yield
