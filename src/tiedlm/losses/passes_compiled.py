"""The passes of `passes` as loops in C++ (`loops/`), compiled by this machine's compiler at first use.

A row of logits is read once, while it is in the cache, and the gradient is written in its place; a soft target is
worked out once for all rows of its word and never stored. Without a compiler the plain passes run instead
(`linear.picked` says which, and why).
"""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from tiedlm.losses.compiler import compiled_loops
from tiedlm.losses.passes import PlainPasses, Sink, Student, Teacher, dense

LOOPS = {torch.float32: "float32", torch.float64: "float64", torch.bfloat16: "bfloat16"}
"""Types of logits that there are loops for; what is in another (float16) goes through the plain passes."""

_whole, _pointer, _number, _real = ctypes.c_int64, ctypes.c_void_p, ctypes.c_int, ctypes.c_double
_GIVEN = [_whole, _pointer, _whole, _pointer, _pointer, _pointer, _pointer, _pointer, _number]
_SOFT = [_whole, _pointer, _pointer, _whole, _pointer, _number, _real, _real, _pointer]
ARGUMENTS = {"cross_entropy": [_whole, *_GIVEN], "augmented": [*_GIVEN, *_SOFT]}
"""What the functions of `loops/loops.cpp` take, in their order; arrays as pointers."""


class CompiledPasses:
    """`passes.Passes` in compiled loops, shared out over as many threads as PyTorch uses.

    Raises:
        ArgumentError: from the passes, for columns that lie apart.
        OSError: likewise, where nothing can be compiled.
    """

    def cross_entropy(self, student: Student, wide: torch.dtype, sink: Sink | None) -> Tensor:
        """Return J."""
        if student.logits.dtype not in LOOPS:
            return PlainPasses().cross_entropy(student, wide, sink)
        losses = student.logits.new_empty(len(student.logits), dtype=wide)
        _run("cross_entropy", student.logits.dtype, len(losses), *_given(student, wide, sink, losses))
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
        if student.logits.dtype not in LOOPS:
            return PlainPasses().augmented(student, teacher, temperature, gamma, wide, sink)
        losses, divergences = student.logits.new_empty(2, len(student.logits), dtype=wide)
        distinct, own = len(teacher.logits), dense(teacher.logits, BY)
        starts = torch.searchsorted(teacher.of_row.contiguous(), torch.arange(distinct + 1))
        mask = None if teacher.mask is None else teacher.mask.contiguous()
        soft = (distinct, starts, own, own.stride(0), mask, sink is not None and sink.through)
        given = _given(student, wide, sink, losses)
        _run("augmented", own.dtype, *given, *soft, 1 / temperature, gamma, divergences)
        return losses, divergences


BY = "the compiled passes"


def _given(student: Student, wide: torch.dtype, sink: Sink | None, losses: Tensor) -> tuple[Any, ...]:
    """Return what both loops take: words, logits, bias, targets, weights, where results go, threads."""
    logits = dense(student.logits, BY)
    bias = None if student.bias is None else student.bias.to(wide).contiguous()
    weights = None if sink is None else sink.weights.to(wide).contiguous()
    at_bias = None if sink is None or sink.at_bias is None else dense(sink.at_bias, BY)
    rows = (logits.shape[1], logits, logits.stride(0), bias, student.words.contiguous())
    return (*rows, weights, losses, at_bias, torch.get_num_threads())


def _run(name: str, dtype: torch.dtype, *arguments: Any) -> None:
    """Call the loop for this type; the arrays among the arguments live until it is done."""
    loop = getattr(compiled_loops(), f"{name}_{LOOPS[dtype]}")
    loop.argtypes, loop.restype = ARGUMENTS[name], None
    loop(*(one.data_ptr() if isinstance(one, Tensor) else one for one in arguments))
