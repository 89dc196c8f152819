"""The memory in which a chunk's logits live, kept from call to call on a CPU.

PyTorch gives a large array back to the operating system as soon as it is freed, and the next one costs a page fault for
every 4 KiB: as much as the product that fills it. On other devices PyTorch keeps freed memory itself.
"""

from __future__ import annotations

import threading

import torch
from torch import Tensor

MOST_KEPT_BYTES = 128 * 2**20
"""Largest array that is kept, one for each thread and type; the chunks that are picked by default stay below it."""


class _Kept(threading.local):
    """Arrays of this thread, as two losses may be computed at one time."""

    def __init__(self) -> None:
        self.arrays: dict[torch.dtype, Tensor] = {}


_kept = _Kept()


def logits_buffer(rows: int, classifier: Tensor) -> Tensor:
    """Return an array [rows, V] with anything in it, of the classifier's type and device, until the next call."""
    size = rows * len(classifier)
    if classifier.device.type != "cpu" or size * classifier.itemsize > MOST_KEPT_BYTES:
        return classifier.new_empty(rows, len(classifier))
    array = _kept.arrays.get(classifier.dtype)
    if array is None or array.numel() < size:
        _kept.arrays.pop(classifier.dtype, None)
        with torch.inference_mode(False):  # what is made in that mode cannot be written to outside it
            array = _kept.arrays[classifier.dtype] = torch.empty(size, dtype=classifier.dtype)
    return array[:size].view(rows, len(classifier))
