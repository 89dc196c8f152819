"""What is done to a chunk's logits between the matrix products: the contract, and the readable implementation.

The products are PyTorch's. Between them lies element-wise work alone, whose cost is that of memory: `PlainPasses` does
it with one array after the other, `passes_compiled` in loops that keep a row in the cache. Whatever the type of the
products, everything is worked out in the wide type (float32, or float64), and G and R are rounded once, when they are
stored: both y^ and y~ are about 1/V and differ by a tenth.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError


class Teacher(NamedTuple):
    """What the soft targets of a chunk's rows are made of, once for each distinct target word."""

    of_row: Tensor
    """For each row the index of its target among the distinct ones [C]; sorted, and each is there."""
    logits: Tensor
    """L l [U, V]."""
    mask: Tensor | None = None
    """Words that a soft target may name [V]; None means all."""


class Student(NamedTuple):
    """The predictions of a chunk's rows."""

    logits: Tensor
    """z = W h, without bias [C, V]."""
    bias: Tensor | None
    """b [V]."""
    words: Tensor
    """Target words [C]."""


class Sink(NamedTuple):
    """What is wanted besides the losses: gradients. Those at logits take the logits' own place."""

    weights: Tensor
    """w, the weight of every row in the loss that is differentiated [C], in the wide type."""
    at_bias: Tensor | None
    """The sum over rows of w (y - e) is added here [V]."""
    through: bool = False
    """Whether the gradient through the soft targets is wanted too."""


class Passes(Protocol):
    """The passes over one chunk.

    With a `sink`, G = w [(y - e) + gamma (y^ - y~)] [C, V] is stored in place of the student's logits; with None they
    stay as they are.
    """

    def cross_entropy(self, student: Student, wide: torch.dtype, sink: Sink | None) -> Tensor:
        """Return J of every row [C] (eq. 2.4)."""
        ...

    def augmented(
        self,
        student: Student,
        teacher: Teacher,
        temperature: float,
        gamma: float,
        wide: torch.dtype,
        sink: Sink | None,
    ) -> tuple[Tensor, Tensor]:
        """Return J (eq. 2.4) and KL(y~ || y^) (eq. 3.2) of every row [C].

        With `sink.through`, the gradient through y~ is stored in place of the teacher's logits:

            R_u = gamma y~_u (D_u - y~_u . D_u)  [U, V]

        D_u is the sum of w (log y~ - log y^) over the rows with target u, or what differs from it by a constant of
        the row, which R does not see: (W_u L l_u - the sum of w z) / tau, with W_u the sum of w.
        """
        ...


class PlainPasses:
    """The passes as PyTorch operations, one after the other."""

    def cross_entropy(self, student: Student, wide: torch.dtype, sink: Sink | None) -> Tensor:
        """Return J, never by the logarithm of an underflowed y."""
        prediction, losses = _prediction(student, wide)
        if sink is not None:
            student.logits.copy_(_hard_gradient(prediction, student.words, sink))
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
        soft, entropy = _soft_targets(teacher, temperature, wide)
        if sink is not None and sink.through:
            _store_at_teacher(student, teacher, soft, sink.weights, temperature, gamma)
        scaled = student.logits.to(wide) / temperature
        softened = scaled.softmax(1)
        target = soft.index_select(0, teacher.of_row)
        normaliser = scaled.amax(1) - softened.amax(1).log()
        divergence = normaliser - row_dot(target, scaled) - entropy.index_select(0, teacher.of_row)
        prediction, losses = _prediction(student, wide)
        if sink is not None:
            gradient = _hard_gradient(prediction, student.words, sink)
            gradient.addcmul_(softened.sub_(target), sink.weights.unsqueeze(1), value=gamma)
            student.logits.copy_(gradient)
        return losses, divergence


def dense(array: Tensor, by: str) -> Tensor:
    """Return the array, whose columns have to be neighbours, as what is written into a copy would be lost.

    Raises:
        ArgumentError: they are not; `by` says who asks, such as "the compiled passes".
    """
    if array.stride(-1) != 1 and array.shape[-1] > 1:
        raise ArgumentError(
            f"Columns lie {array.stride(-1)} apart in an array of shape {tuple(array.shape)}, but must be neighbours "
            f"for {by}: give them a contiguous one."
        )
    return array


def _soft_targets(teacher: Teacher, temperature: float, wide: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return y~ [U, V] (eq. 3.7) and its entropy in nats [U]."""
    scaled = teacher.logits.to(wide) / temperature
    allowed = scaled if teacher.mask is None else scaled.masked_fill(~teacher.mask, -torch.inf)
    soft = allowed.softmax(1)
    return soft, allowed.amax(1) - soft.amax(1).log() - row_dot(soft, scaled)


def _store_at_teacher(
    student: Student, teacher: Teacher, soft: Tensor, weights: Tensor, temperature: float, gamma: float
) -> None:
    """Store R in place of the teacher's logits."""
    wide = weights.dtype
    total = weights.new_zeros(len(soft)).index_add_(0, teacher.of_row, weights)
    difference = teacher.logits.to(wide) * total.unsqueeze(1)
    difference.index_add_(0, teacher.of_row, student.logits.to(wide) * weights.unsqueeze(1), alpha=-1)
    difference.div_(temperature)
    mean = row_dot(soft, difference).unsqueeze(1)
    teacher.logits.copy_(difference.sub_(mean).mul_(soft).mul_(gamma))


def row_dot(left: Tensor, right: Tensor) -> Tensor:
    """Return the inner product of each pair of rows; on a CPU eight times faster than one `bmm` of single rows."""
    return torch.linalg.vecdot(left, right)


def _biased(student: Student, wide: torch.dtype) -> Tensor:
    logits = student.logits.to(wide)
    return logits if student.bias is None else logits + student.bias.to(wide)


def _prediction(student: Student, wide: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return y (eq. 2.3) and J (eq. 2.4), without ever taking the logarithm of an underflowed y."""
    biased = _biased(student, wide)
    prediction = biased.softmax(1)
    behind = biased.amax(1) - at(biased, student.words)
    return prediction, behind - prediction.amax(1).log()  # in this order a near-certain loss keeps its last bits


def at(values: Tensor, words: Tensor) -> Tensor:
    """Return the entry of each row [C] at its word."""
    return values.gather(1, words.unsqueeze(1)).squeeze(1)


def _hard_gradient(prediction: Tensor, words: Tensor, sink: Sink) -> Tensor:
    """Return w (y - e), in place of y, and add its sum over rows to the bias's gradient."""
    gradient = prediction.mul_(sink.weights.unsqueeze(1))
    index = torch.arange(len(words), device=words.device)
    gradient.index_put_((index, words), -sink.weights, accumulate=True)
    if sink.at_bias is not None:
        sink.at_bias.add_(gradient.sum(0))
    return gradient
