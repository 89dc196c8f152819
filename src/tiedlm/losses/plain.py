"""What is done to a chunk's logits between the matrix products: the contract, and its form in PyTorch's operations.

The products are PyTorch's. Between them lies element-wise work alone, whose cost is that of memory: `PlainBackend` does
it with one array after the other, `compiled` in loops that keep a row in the cache, `triton` in kernels for a GPU.
Whatever the type of the products, everything is computed in `accum_dtype` (float32, or float64 where the tables are),
and G and R are rounded once, when they are stored: both y^ and y~ are about 1/V and differ by a tenth.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor


class Student(NamedTuple):
    """The predictions of a chunk's rows."""

    logits: Tensor
    """z = W h, without bias [C, V]."""
    bias: Tensor | None
    """b [V]."""
    targets: Tensor
    """Target words [C]."""
    accum_dtype: torch.dtype
    """Type in which everything is computed."""


class Teacher(NamedTuple):
    """What the soft targets of a chunk's rows are made of, once for each distinct target word."""

    logits: Tensor
    """v = L l [U, V]."""
    target_row: Tensor
    """For each row of the student the index of its target among the distinct ones [C]; sorted, and each occurs."""
    mask: Tensor | None = None
    """Words that a soft target may name [V]; None means all."""


class GradRequest(NamedTuple):
    """Which gradients are needed besides the losses; those of logits are stored in place of the logits."""

    weights: Tensor
    """w, the weight of every row in the loss that is differentiated [C], in the type of what is computed."""
    bias_grad: Tensor | None
    """The sum over rows of w (y - e) is added to it [V]."""
    through_target: bool = False
    """Whether the gradient through the soft targets is needed too."""


class ElementwiseBackend(Protocol):
    """The work between the products of one chunk; the columns of all logits are contiguous.

    With a request, G = w [(y - e) + gamma (y^ - y~)] [C, V] is stored in place of the student's logits; with None they
    stay as they are.
    """

    def cross_entropy(self, student: Student, request: GradRequest | None) -> Tensor:
        """Return J of every row [C] (eq. 2.4)."""
        ...

    def augmented(
        self, student: Student, teacher: Teacher, temperature: float, gamma: float, request: GradRequest | None
    ) -> tuple[Tensor, Tensor]:
        """Return J (eq. 2.4) and KL(y~ || y^) (eq. 3.2) of every row [C].

        With `request.through_target`, the gradient through y~ is stored in place of the teacher's logits:

            R_u = gamma y~_u (D_u - y~_u . D_u)  [U, V]

        D_u is the sum of w (log y~ - log y^) over the rows with target u, or what differs from it by a constant of
        the row, which R does not see: (W_u L l_u - the sum of w z) / tau, with W_u the sum of w.
        """
        ...


class Vocab:
    """All words in one process: every exchange returns what it gets. `VocabShard` exchanges over processes."""

    is_whole = True

    def size(self, classifier: Tensor) -> int:
        """Return V of all processes together."""
        return len(classifier)

    def local(self, ids: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the row of each word in the local tables, any if it is not held, and whether it is (None: all are)."""
        return ids, None

    def rows(self, table: Tensor, ids: Tensor) -> Tensor:
        """Return the rows of these words [U, D], from whichever process holds each."""
        return table.index_select(0, ids)

    def center(self, table: Tensor) -> Tensor:
        """Return the table less the mean of all V rows."""
        wide = table.to(torch.promote_types(table.dtype, torch.float32))
        return (wide - wide.mean(0)).to(table.dtype)

    def max(self, *parts: Tensor) -> list[Tensor]:
        """Return the largest of each entry over the processes."""
        return list(parts)

    def sum(self, *parts: Tensor) -> list[Tensor]:
        """Return the sum of each tensor over the processes."""
        return list(parts)


WHOLE = Vocab()


class _Softmax:
    """softmax(x) of rows [R, V], and the logarithm of its normaliser as `max` + `log_total` [R].

    The two are kept apart, so that a loss near 0 beside large logits keeps its last bits. Where other processes hold
    other columns, `share` and `widen` bring `probabilities` from the local columns to the whole row.
    """

    def __init__(self, values: Tensor) -> None:
        self.probabilities = values.softmax(1)
        self.max = values.amax(1)
        self.log_total = -self.probabilities.amax(1).log()

    def share(self, max: Tensor) -> Tensor:
        """Return the sum of exp(x - max) over the local columns, `max` being the largest of any process [R]."""
        return (self.log_total + self.max - max).exp()

    def widen(self, max: Tensor, total: Tensor, share: Tensor) -> None:
        """Bring it to the whole row, whose sum of exp(x - max) is `total` [R]."""
        self.probabilities.mul_((share / total).unsqueeze(1))
        self.max, self.log_total = max, total.log()


class PlainBackend:
    """`ElementwiseBackend` in PyTorch's operations, one after the other; with a shard of the words, the only one."""

    def __init__(self, vocab: Vocab = WHOLE) -> None:
        self.vocab = vocab

    def cross_entropy(self, student: Student, request: GradRequest | None) -> Tensor:
        """Return J of every row."""
        biased = _biased(student)
        prediction, at_target = _Softmax(biased), self._at_target(biased, student.targets)
        if not self.vocab.is_whole:
            (max,) = self.vocab.max(prediction.max)
            share = prediction.share(max)
            total, at_target = self.vocab.sum(share, at_target)
            prediction.widen(max, total, share)
        if request is not None:
            student.logits.copy_(self._hard_grad(prediction.probabilities, student.targets, request))
        return prediction.max - at_target + prediction.log_total

    def augmented(
        self, student: Student, teacher: Teacher, temperature: float, gamma: float, request: GradRequest | None
    ) -> tuple[Tensor, Tensor]:
        """Return J and KL(y~ || y^) of every row."""
        accum_dtype, target_row = student.accum_dtype, teacher.target_row
        scaled_teacher = teacher.logits.to(accum_dtype) / temperature
        soft = self._soft_target(scaled_teacher, teacher.mask)
        own = torch.linalg.vecdot(soft.probabilities, scaled_teacher)  # eight times faster than one `bmm` on a CPU
        scaled = student.logits.to(accum_dtype) / temperature
        softened = _Softmax(scaled)
        target = soft.probabilities.index_select(0, target_row)
        cross = torch.linalg.vecdot(target, scaled)
        biased = _biased(student)
        prediction, at_target = _Softmax(biased), self._at_target(biased, student.targets)
        del scaled_teacher, scaled, biased  # arrays over the vocabulary
        if not self.vocab.is_whole:
            parts = (prediction, softened, soft)
            maxima = self.vocab.max(*(part.max for part in parts))
            shares = [part.share(max) for part, max in zip(parts, maxima, strict=True)]
            dots = (shares[2] * own, shares[2].index_select(0, target_row) * cross)
            *totals, own, cross, at_target = self.vocab.sum(*shares, *dots, at_target)
            for part, *widths in zip(parts, maxima, totals, shares, strict=True):
                part.widen(*widths)
            own, cross = own / totals[2], cross / totals[2].index_select(0, target_row)
            target = soft.probabilities.index_select(0, target_row)
        entropy = soft.max + soft.log_total - own
        divergence = softened.max + softened.log_total - cross - entropy.index_select(0, target_row)
        losses = prediction.max - at_target + prediction.log_total
        if request is not None and request.through_target:
            dots = None if self.vocab.is_whole else (own, cross)
            _store_teacher_grad(student, teacher, soft.probabilities, dots, request.weights, temperature, gamma)
        if request is not None:
            grad = self._hard_grad(prediction.probabilities, student.targets, request)
            grad.addcmul_(softened.probabilities.sub_(target), request.weights.unsqueeze(1), value=gamma)
            student.logits.copy_(grad)
        return losses, divergence

    def _soft_target(self, scaled: Tensor, mask: Tensor | None) -> _Softmax:
        """Return y~ [U, V] (eq. 3.7)."""
        if mask is None:
            return _Softmax(scaled)
        soft = _Softmax(scaled.masked_fill(~mask, -torch.inf))
        if not self.vocab.is_whole:  # another process may hold all words that the mask allows
            nothing = ~mask.any()
            soft.probabilities.masked_fill_(nothing, 0)
            soft.log_total.masked_fill_(nothing, 0)
        return soft

    def _at_target(self, biased: Tensor, targets: Tensor) -> Tensor:
        """Return z + b of each row at its target [C], 0 where another process holds it."""
        row, held = self.vocab.local(targets)
        values = biased.gather(1, row.unsqueeze(1)).squeeze(1)
        return values if held is None else values.where(held, 0)

    def _hard_grad(self, prediction: Tensor, targets: Tensor, request: GradRequest) -> Tensor:
        """Return w (y - e), in place of y, and add its sum over rows to the bias's gradient."""
        grad = prediction.mul_(request.weights.unsqueeze(1))
        row, held = self.vocab.local(targets)
        weights = request.weights if held is None else request.weights.where(held, 0)
        grad.index_put_((torch.arange(len(row), device=row.device), row), -weights, accumulate=True)
        if request.bias_grad is not None:
            request.bias_grad.add_(grad.sum(0))
        return grad


def _store_teacher_grad(
    student: Student,
    teacher: Teacher,
    soft: Tensor,
    dots: tuple[Tensor, Tensor] | None,
    weights: Tensor,
    temperature: float,
    gamma: float,
) -> None:
    """Store R in place of the teacher's logits; `dots` are y~ . v / tau [U] and y~ . z / tau [C] over all words."""

    def by_target(values: Tensor) -> Tensor:
        return values.new_zeros(len(soft)).index_add_(0, teacher.target_row, values)

    total = by_target(weights)
    difference = teacher.logits.to(weights.dtype) * total.unsqueeze(1)
    difference.index_add_(0, teacher.target_row, student.logits.to(weights.dtype) * weights.unsqueeze(1), alpha=-1)
    difference.div_(temperature)
    # y~ . D, which asks the other processes for nothing more than the dots do
    mean = torch.linalg.vecdot(soft, difference) if dots is None else total * dots[0] - by_target(weights * dots[1])
    teacher.logits.copy_(difference.sub_(mean.unsqueeze(1)).mul_(soft).mul_(gamma))


def _biased(student: Student) -> Tensor:
    logits = student.logits.to(student.accum_dtype)
    return logits if student.bias is None else logits + student.bias.to(student.accum_dtype)
