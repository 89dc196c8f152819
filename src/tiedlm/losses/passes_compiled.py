"""The passes of `passes` as loops in C++ (`native/loops/losses.cpp`), compiled by this machine's compiler at first use.

A row of logits is read once, while it is in the cache, and the gradient is written in its place; a soft target is
worked out once for all rows of its word and never stored. Without a compiler the plain passes run instead
(`linear.picked` says which, and why).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tiedlm.losses.passes import PlainPasses, Sink, Student, Teacher, dense
from tiedlm.losses.problem import wide_type
from tiedlm.native.build import call_native

LOOPS = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}
"""Types of logits that there are loops for, each with one wide type; all else goes through the plain passes."""


class CompiledPasses:
    """`passes.Passes` in compiled loops, shared out over as many threads as PyTorch uses.

    Raises:
        ArgumentError: from the passes, for columns that lie apart.
        OSError: likewise, where nothing can be compiled.
    """

    def cross_entropy(self, student: Student, wide: torch.dtype, sink: Sink | None) -> Tensor:
        """Return J."""
        if not has_loop(student.logits.dtype, wide):
            return PlainPasses().cross_entropy(student, wide, sink)
        losses = student.logits.new_empty(len(student.logits), dtype=wide)
        call_native(f"cross_entropy_{LOOPS[student.logits.dtype]}", len(losses), *_given(student, wide, sink, losses))
        return losses

    def augmented(
        self,
        student: Student,
        teacher: Teacher,
        temperature: float,
        gamma: float,
        wide: torch.dtype,
        sink: Sink | None,
    ) -> tuple[Tensor, Tensor]:
        """Return J and KL(y~ || y^)."""
        if not has_loop(student.logits.dtype, wide):
            return PlainPasses().augmented(student, teacher, temperature, gamma, wide, sink)
        losses, divergences = student.logits.new_empty(2, len(student.logits), dtype=wide)
        distinct, own = len(teacher.logits), dense(teacher.logits, BY)
        starts = torch.searchsorted(teacher.of_row.contiguous(), torch.arange(distinct + 1))
        mask = None if teacher.mask is None else teacher.mask.contiguous()
        soft = (distinct, starts, own, own.stride(0), mask, sink is not None and sink.through)
        given = _given(student, wide, sink, losses)
        call_native(f"augmented_{LOOPS[own.dtype]}", *given, *soft, 1 / temperature, float(gamma), divergences)
        return losses, divergences


BY = "the compiled passes"


def has_loop(logits: torch.dtype, wide: torch.dtype) -> bool:
    """Return whether there is a loop that reads such logits and writes such losses."""
    return logits in LOOPS and wide == wide_type(logits)


def _given(student: Student, wide: torch.dtype, sink: Sink | None, losses: Tensor) -> tuple[Any, ...]:
    """Return what both loops take: words, logits, bias, targets, weights, where results go, threads."""
    logits = dense(student.logits, BY)
    bias = None if student.bias is None else student.bias.to(wide).contiguous()
    weights = None if sink is None else sink.weights.to(wide).contiguous()
    at_bias = None if sink is None or sink.at_bias is None else dense(sink.at_bias, BY)
    rows = (logits.shape[1], logits, logits.stride(0), bias, student.words.contiguous())
    return (*rows, weights, losses, at_bias, torch.get_num_threads())
