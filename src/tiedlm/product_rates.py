"""How fast this machine's CPU multiplies matrices, type by type.

Bfloat16 products are faster than float32 ones where the processor has instructions for them (AMX, AVX512-BF16). On
others they are as right, and several times slower, and PyTorch says nothing of it; so the rates are measured.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor

ROWS, WIDTH, WORDS = 256, 256, 2048
"""Sizes of the product: large enough for a rate, and thirty milliseconds where it is slow."""
TRIES = 8
"""The fastest counts, so that other work on the machine hardly does."""


def product_gflops(dtype: torch.dtype) -> float:
    """Return 10^9 multiplications and additions a second, in products of this type on all threads of PyTorch."""
    left, right = torch.ones(ROWS, WIDTH, dtype=dtype), torch.ones(WORDS, WIDTH, dtype=dtype)
    _seconds(left, right)  # the first also prepares the kernel
    fastest = min(_seconds(left, right) for _ in range(TRIES))
    return 2 * ROWS * WIDTH * WORDS / fastest / 1e9


def slowdown(dtype: torch.dtype) -> float:
    """Return how many times as long as a float32 product one of this type takes; below 1 where it is faster."""
    return product_gflops(torch.float32) / product_gflops(dtype)


def _seconds(left: Tensor, right: Tensor) -> float:
    began = time.perf_counter()
    torch.mm(left, right.T)
    return time.perf_counter() - began
