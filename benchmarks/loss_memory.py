"""What one pass of a loss adds to a process's memory beyond its inputs and their gradients."""

from __future__ import annotations

import ctypes
from pathlib import Path

import torch

from loss_variants import Case, Variant, made
from machine import peak_memory_mib


def extra_memory_mib(case: Case, variant: Variant) -> float:
    """Return what the peak grows by in one pass, in MiB; on a GPU that of its memory, else that of this process."""
    few = made(8, case.words, 4, case.features.device.type, case.features.dtype)
    variant.step(few)()  # what is loaded or compiled at a first call is no memory of the loss's
    case.features.grad, case.classifier.grad = torch.ones_like(case.features), torch.ones_like(case.classifier)
    forget_peak(case)
    before = _peak_mib(case)
    case.features.grad = case.classifier.grad = None
    variant.step(case)()
    return _peak_mib(case) - before


def forget_peak(case: Case) -> None:
    """Count the peak from what is held now on; where the system cannot, it is that of the process's whole life."""
    if case.features.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        return
    peak = Path("/proc/self/clear_refs")
    if peak.exists():
        ctypes.CDLL(None).malloc_trim(0)  # what the allocator keeps would hide as much of what comes
        peak.write_text("5")


def _peak_mib(case: Case) -> float:
    return torch.cuda.max_memory_allocated() / 2**20 if case.features.is_cuda else peak_memory_mib()
