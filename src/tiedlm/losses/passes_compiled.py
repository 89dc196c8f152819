"""The passes of `passes`, compiled to one loop over the rows each: a row is read while it is in the cache.

Two exponentials, two normalisers, the crossing term and G are made of a row that is read twice, and no array over the
vocabulary is kept but G, y~ and the logits. `torch.compile` writes the loops; without a compiler it cannot, and the
plain passes run instead (`linear.picked` says which, and why).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tiedlm.losses.passes import Sink, Student, Teacher, at


class _Normaliser(NamedTuple):
    """Of a softmax of every row."""

    top: Tensor
    """Largest logit [C, 1]."""
    total: Tensor
    """Sum of the exponentials of what lies below it [C, 1]."""

    @property
    def logarithm(self) -> Tensor:
        """log total [C, 1]: exp(z - top - log total) is the softmax, without a division for each word."""
        return self.total.log()


class CompiledPasses:
    """`passes.Passes` in compiled loops."""

    def soft_targets(
        self, logits: Tensor, mask: Tensor | None, temperature: float, wide: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Return y~ and its entropy."""
        return _run(_soft_targets, logits, mask, temperature, wide)

    def cross_entropy(self, student: Student, wide: torch.dtype, sink: Sink | None) -> Tensor:
        """Return J."""
        hard = _run(_normaliser, student.logits, student.bias, wide)
        losses = _cross_entropy(student, hard)
        if sink is not None:
            _add_bias(student, hard, sink)
            _run(_hard_gradient, student.logits, student.bias, hard, sink.weights.unsqueeze(1))
            _set_targets(student, sink, torch.expm1(-losses))
        return losses

    def augmented(
        self, student: Student, teacher: Teacher, temperature: float, gamma: float, sink: Sink | None
    ) -> tuple[Tensor, Tensor]:
        """Return J and KL(y~ || y^)."""
        rows = (student.logits, student.bias, teacher.soft, teacher.of_row.unsqueeze(1))
        hard, soft, crossing = _run(_normalisers, *rows, temperature)
        losses = _cross_entropy(student, hard)
        divergence = soft.total.log().squeeze(1) + crossing - teacher.entropy.index_select(0, teacher.of_row)
        if sink is not None:
            _add_bias(student, hard, sink)
            softened = _softened(at(student.logits, student.words).unsqueeze(1), soft, temperature).squeeze(1)
            spread = softened - teacher.soft[teacher.of_row, student.words]
            _run(_gradient, *rows, hard, soft, sink.weights.unsqueeze(1), temperature, gamma)
            _set_targets(student, sink, torch.expm1(-losses) + gamma * spread)
        return losses, divergence

    def at_teacher(self, student: Student, teacher: Teacher, weights: Tensor, temperature: float, gamma: float) -> None:
        """Store R."""
        scaled = _run(_scaled, student.logits, weights.unsqueeze(1))
        students = torch.zeros_like(teacher.soft).index_add_(0, teacher.of_row, scaled)
        total = weights.new_zeros(len(teacher.logits)).index_add_(0, teacher.of_row, weights)
        _run(_teacher_gradient, teacher.logits, teacher.soft, students, total.unsqueeze(1), temperature, gamma)


def _run(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call the compiled function; the number of rows may differ from call to call, that of words is compiled in.

    What is by rows has two axes (weights are [C, 1]), what is by words has one.

    The loops of a row are then the same whatever chunks came before, so that a training that is continued in another
    process gives the same bits.
    """
    for argument in arguments:
        for tensor in argument if isinstance(argument, _Normaliser) else (argument,):
            if isinstance(tensor, Tensor) and tensor.dim() == 2:
                torch._dynamo.maybe_mark_dynamic(tensor, 0)
    with torch._dynamo.config.patch(recompile_limit=MOST_FORMS):
        return _compiled(function)(*arguments)


MOST_FORMS = 64
"""Forms of a loop (by vocabulary, type, bias) that one process compiles; what goes beyond runs uncompiled."""


@functools.cache
def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compile(function)


def _soft_targets(logits: Tensor, mask: Tensor | None, temperature: float, wide: torch.dtype) -> tuple[Tensor, Tensor]:
    converted = logits.to(wide)
    allowed = converted if mask is None else torch.where(mask, converted, -torch.inf)
    top = allowed.amax(1, keepdim=True)
    logarithm = ((allowed - top) * (1 / temperature)).exp().sum(1, keepdim=True).log()
    soft = ((allowed - top) * (1 / temperature) - logarithm).exp()
    return soft, logarithm.squeeze(1) - (soft * ((converted - top) * (1 / temperature))).sum(1)


def _normaliser(logits: Tensor, bias: Tensor | None, wide: torch.dtype) -> _Normaliser:
    biased = _biased(logits, bias, wide)
    top = biased.amax(1, keepdim=True)
    return _Normaliser(top, (biased - top).exp().sum(1, keepdim=True))


def _normalisers(
    logits: Tensor, bias: Tensor | None, teacher: Tensor, of_row: Tensor, temperature: float
) -> tuple[_Normaliser, _Normaliser, Tensor]:
    """Return the normalisers of y and y^, and y~ . (top - z) / tau [C]."""
    wide = logits.to(teacher.dtype)
    top = wide.amax(1, keepdim=True)
    below = (wide - top) * (1 / temperature)
    crossing = -(teacher[of_row.squeeze(1)] * below).sum(1)
    return _normaliser(logits, bias, teacher.dtype), _Normaliser(top, below.exp().sum(1, keepdim=True)), crossing


def _hard_gradient(logits: Tensor, bias: Tensor | None, hard: _Normaliser, weights: Tensor) -> None:
    logits.copy_(weights * _predicted(logits, bias, hard))


def _gradient(
    logits: Tensor,
    bias: Tensor | None,
    teacher: Tensor,
    of_row: Tensor,
    hard: _Normaliser,
    soft: _Normaliser,
    weights: Tensor,
    temperature: float,
    gamma: float,
) -> None:
    """Store w [y + gamma (y^ - y~)] over the logits: G but for the entries of the targets."""
    spread = _softened(logits, soft, temperature) - teacher[of_row.squeeze(1)]
    logits.copy_(weights * (_predicted(logits, bias, hard) + gamma * spread))


def _scaled(logits: Tensor, weights: Tensor) -> Tensor:
    return logits.to(weights.dtype) * weights


def _teacher_gradient(
    logits: Tensor, teacher: Tensor, students: Tensor, total: Tensor, temperature: float, gamma: float
) -> None:
    difference = (logits.to(teacher.dtype) * total - students) * (1 / temperature)
    mean = (teacher * difference).sum(1, keepdim=True)
    logits.copy_(gamma * teacher * (difference - mean))


def _summed_over_rows(logits: Tensor, bias: Tensor, hard: _Normaliser, weights: Tensor) -> Tensor:
    return (weights * _predicted(logits, bias, hard)).sum(0)


def _predicted(logits: Tensor, bias: Tensor | None, hard: _Normaliser) -> Tensor:
    return (_biased(logits, bias, hard.top.dtype) - hard.top - hard.logarithm).exp()


def _softened(logits: Tensor, soft: _Normaliser, temperature: float) -> Tensor:
    return ((logits.to(soft.top.dtype) - soft.top) * (1 / temperature) - soft.logarithm).exp()


def _biased(logits: Tensor, bias: Tensor | None, wide: torch.dtype) -> Tensor:
    return logits.to(wide) if bias is None else logits.to(wide) + bias.to(wide)


def _cross_entropy(student: Student, hard: _Normaliser) -> Tensor:
    chosen = at(student.logits, student.words).to(hard.top.dtype)
    biased = chosen if student.bias is None else chosen + student.bias.to(hard.top.dtype)[student.words]
    return (hard.top.squeeze(1) - biased) + hard.total.log().squeeze(1)


def _set_targets(student: Student, sink: Sink, values: Tensor) -> None:
    """Store w times the values [C] at the rows' targets, worked out apart so that they too are rounded once."""
    index = torch.arange(len(values), device=values.device)
    student.logits.index_put_((index, student.words), (sink.weights * values).to(student.logits.dtype))


def _add_bias(student: Student, hard: _Normaliser, sink: Sink) -> None:
    if sink.at_bias is None:
        return
    assert student.bias is not None
    sink.at_bias.add_(_run(_summed_over_rows, student.logits, student.bias, hard, sink.weights.unsqueeze(1)))
    sink.at_bias.index_add_(0, student.words, -sink.weights)
