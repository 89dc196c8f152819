"""`plain.ElementwiseBackend` as loops in C++ (`native/loops/losses.cpp`), compiled by this machine's compiler.

A row of logits is read once, while it is in the cache, and the gradient is written in its place; a soft target is
computed once for all rows of its word and never stored. `augmented.select_implementation` picks it where it can run.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tiedlm.losses.plain import GradRequest, Student, Teacher
from tiedlm.native.build import call_native

LOOPS = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}
"""Types of logits for which there are loops; results are float32, or float64 where the logits are."""


class CompiledBackend:
    """`ElementwiseBackend` in compiled loops, shared out over as many threads as PyTorch uses."""

    def cross_entropy(self, student: Student, request: GradRequest | None) -> Tensor:
        """Return J of every row."""
        losses = student.logits.new_empty(len(student.logits), dtype=student.accum_dtype)
        call_native(f"cross_entropy_{LOOPS[student.logits.dtype]}", len(losses), *_arguments(student, request, losses))
        return losses

    def augmented(
        self, student: Student, teacher: Teacher, temperature: float, gamma: float, request: GradRequest | None
    ) -> tuple[Tensor, Tensor]:
        """Return J and KL(y~ || y^) of every row."""
        losses, divergences = student.logits.new_empty(2, len(student.logits), dtype=student.accum_dtype)
        distinct, mask = len(teacher.logits), teacher.mask
        starts = torch.searchsorted(teacher.target_row.contiguous(), torch.arange(distinct + 1))
        call_native(
            f"augmented_{LOOPS[student.logits.dtype]}",
            *_arguments(student, request, losses),
            *(distinct, starts, teacher.logits, teacher.logits.stride(0), None if mask is None else mask.contiguous()),
            request is not None and request.through_target,
            *(1 / temperature, float(gamma), divergences),
        )
        return losses, divergences


def _arguments(student: Student, request: GradRequest | None, losses: Tensor) -> tuple[Any, ...]:
    """Return what both loops take: words, logits, bias, targets, weights, where results go, threads."""
    logits, accum_dtype = student.logits, losses.dtype
    assert logits.stride(1) == 1 or logits.shape[1] == 1, "the loops take rows of contiguous columns"
    bias = None if student.bias is None else student.bias.to(accum_dtype).contiguous()
    weights = None if request is None else request.weights.contiguous()
    rows = (logits.shape[1], logits, logits.stride(0), bias, student.targets.contiguous())
    return (*rows, weights, losses, None if request is None else request.bias_grad, torch.get_num_threads())
