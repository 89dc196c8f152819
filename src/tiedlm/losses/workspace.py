"""The memory in which a chunk's logits live, kept from call to call on a CPU.

PyTorch gives a large array back to the operating system as soon as it is freed, and the next one costs a page fault for
every 4 KiB: as much as the product that fills it. On other devices PyTorch keeps freed memory itself.

The rows begin at whole cache lines. Of 33,278 words in float32 they would not, and the product that writes the logits
would take longer, those that read their gradient hardly (`benchmarks/aligned_rows.py`).
"""

from __future__ import annotations

import math
import threading

import torch
from torch import Tensor

MOST_KEPT_BYTES = 128 * 2**20
"""Largest logits that are kept, one array a thread and type; the chunks that are picked by default stay below it."""
LINE_BYTES = 64
"""A cache line; PyTorch's own arrays begin at one too."""


class _Kept(threading.local):
    """Arrays of this thread, as two losses may be computed at one time."""

    def __init__(self) -> None:
        self.arrays: dict[torch.dtype, Tensor] = {}


_kept = _Kept()


def logits_buffer(rows: int, classifier: Tensor) -> Tensor:
    """Return an array [rows, V] with anything in it, of the classifier's type and device, until the next call.

    The columns of a row are neighbours; on a CPU the rows may lie further apart than V. What lies between them is 0:
    oneDNN's 16-bit products read it, and multiply it by 0, which of a NaN is NaN.
    """
    words, width = len(classifier), classifier.itemsize
    if classifier.device.type != "cpu":
        return classifier.new_empty(rows, words)
    stride = math.ceil(words * width / LINE_BYTES) * LINE_BYTES // width
    keep = rows * words * width <= MOST_KEPT_BYTES
    memory = _kept_memory if keep else _new_memory
    lines = memory(rows * stride, classifier.dtype).view(rows, stride)
    lines[:, words:].zero_()
    return lines[:, :words]


def _kept_memory(size: int, dtype: torch.dtype) -> Tensor:
    array = _kept.arrays.get(dtype)
    if array is None or array.numel() < size:
        _kept.arrays.pop(dtype, None)
        array = _kept.arrays[dtype] = _new_memory(size, dtype)
    return array[:size]


def _new_memory(size: int, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):  # what is made in that mode cannot be written to outside it
        return torch.empty(size, dtype=dtype)
