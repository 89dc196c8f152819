"""The sweep over chunks of rows on a rank that holds V / R of the words (see `vocabulary_parallel`).

Every array over the vocabulary has at most as many rows as the chunk and as many columns as the rank holds. Matrix
products take inputs of the type `Problem.products`; everything else, and every reduction over the ranks, is float32, or
float64 where the tables are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tiedlm.losses.gradient_sums import Gradients, GradientSums
from tiedlm.losses.problem import Problem
from tiedlm.losses.shards import Shard


def sweep(
    problem: Problem, weights: Tensor | None, wanted: Sequence[bool], shard: Shard
) -> tuple[Tensor, Tensor, Gradients]:
    """Return cross-entropy and divergence of every row in `problem.rows` [N'], and gradients of the weighted sum.

    The losses and the gradient of the features are the same on every rank; those of tables and bias are of its rows.

    Args:
        problem: words are among all V; tables, bias and vocabulary mask are this rank's; passes are not asked for.
        weights: factor of each row's loss in the sum that is differentiated [N'], or None where nothing is wanted.
        wanted: whether the gradients of features, classifier, table and bias are wanted; alike on all ranks.
        shard: the words whose rows this rank holds.
    """
    with torch.autocast(problem.classifier.device.type, enabled=False):
        weights, unit = problem.in_range(weights)
        sweeper = _Sweeper(problem, GradientSums(problem, wanted), shard)
        run = sweeper.cross_entropy if problem.gamma == 0 else sweeper.augmented
        losses = torch.zeros(2, len(problem.rows), dtype=problem.wide, device=problem.rows.device)
        for chunk in problem.chunks():
            losses[:, chunk] = torch.stack(run(chunk, None if weights is None else weights[chunk].to(problem.wide)))
        return losses[0], losses[1], sweeper.gradients(unit)


class _Sweeper:
    """What the chunks share: tables in the products' type, the targets' word vectors, and the sums of gradients."""

    def __init__(self, problem: Problem, sums: GradientSums, shard: Shard) -> None:
        self.problem, self.sums, self.shard = problem, sums, shard
        self.classifier = problem.classifier.to(problem.products)
        self.table = self.classifier if problem.table is None else problem.table.to(problem.products)
        self.distinct, self.target = torch.unique_consecutive(problem.words, return_inverse=True)
        self.vectors = self._vectors() if problem.gamma > 0 else None
        self.at_vectors: Tensor | None = None
        if self.vectors is not None and not problem.detach_target and sums.table is not None:
            self.at_vectors = torch.zeros_like(self.vectors, dtype=problem.wide)

    def cross_entropy(self, chunk: slice, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return J of a chunk's rows and zeros, and add its gradients to the sums."""
        features, logits = self._student(chunk)
        (biased,) = self.shard.below_largest(self._biased(logits))
        prediction, at_target = biased.exp(), self.shard.own_entries(biased, self.problem.words[chunk])
        total, at_target = self.shard.ranks.all_reduce_sum(prediction.sum(1), at_target)
        if weights is not None:
            self._add_student(chunk, features, self._hard_gradient(prediction, total, chunk, weights))
        losses = total.log() - at_target
        return losses, torch.zeros_like(losses)

    def augmented(self, chunk: slice, weights: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return J and KL(y~ || y^) of a chunk's rows, and add its gradients to the sums."""
        assert self.vectors is not None
        features, logits = self._student(chunk)
        distinct, of_row = torch.unique_consecutive(self.target[chunk], return_inverse=True)
        vectors, tau = self.vectors.index_select(0, distinct), self.problem.temperature
        forbidden = None if self.problem.vocabulary_mask is None else ~self.problem.vocabulary_mask
        at_vectors = _filled((vectors @ self.table.T).to(self.problem.wide), forbidden, -torch.inf)
        biased, student, teacher = self.shard.below_largest(self._biased(logits), logits / tau, at_vectors / tau)
        prediction, softened, soft = biased.exp(), student.exp(), teacher.exp()
        teacher = _filled(teacher, forbidden, 0)  # where y~ = 0, it adds nothing
        total, at_target, softened_total, crossing, soft_total, own = self.shard.ranks.all_reduce_sum(
            *(prediction.sum(1), self.shard.own_entries(biased, self.problem.words[chunk])),
            *(softened.sum(1), torch.linalg.vecdot(soft.index_select(0, of_row), student)),
            *(soft.sum(1), torch.linalg.vecdot(soft, teacher)),
        )
        soft.div_(soft_total.unsqueeze(1))
        soft_total, own = soft_total.index_select(0, of_row), (own / soft_total).index_select(0, of_row)
        apart = own - crossing / soft_total
        if weights is not None:
            hard = self._hard_gradient(prediction, total, chunk, weights)
            difference = softened.div_(softened_total.unsqueeze(1)).sub_(soft.index_select(0, of_row))
            gradient = hard.addcmul_(difference, weights.unsqueeze(1), value=self.problem.gamma)
            self._add_student(chunk, features, gradient)
            if self.at_vectors is not None:
                logits, weights = _Softened(student, teacher, of_row), weights * self.problem.gamma
                self._add_teacher(distinct, vectors, _at_teacher(logits, soft, weights, apart))
        return total.log() - at_target, softened_total.log() - soft_total.log() + apart

    def gradients(self, unit: Tensor | None) -> Gradients:
        """Return the sums over chunks and ranks, times `unit`, in the type they are kept in; once, after all chunks."""
        sums = self.sums
        partial = [part for part in (sums.features, self.at_vectors) if part is not None]
        whole = iter(self.shard.ranks.all_reduce_sum(*partial) if partial else [])
        sums.features = None if sums.features is None else next(whole)
        if self.at_vectors is not None:
            assert sums.table is not None
            row, held = self.shard.place(self.distinct)
            at_vectors = next(whole)
            sums.table.add_rows(row, at_vectors.where(held.unsqueeze(1), 0))
            if self.problem.center_table:  # the sums give all of it to the words held here
                sums.mean = -at_vectors.sum(0) * (len(self.shard.held) / self.shard.words)
        return sums.gradients(self.problem, unit)

    def _vectors(self) -> Tensor:
        """Return l of the distinct targets [U, D']; what centring adds to a whole row of logits, softmax drops."""
        problem = self.problem
        table = problem.classifier if problem.table is None else problem.table
        vectors = self.shard.rows_of(table, self.distinct, problem.wide)
        if problem.center_table:
            vectors = vectors - self.shard.mean_of(table, problem.wide)
        return vectors.to(problem.products)

    def _student(self, chunk: slice) -> tuple[Tensor, Tensor]:
        """Return h [C, D], and W h at the words held here [C, V / R]."""
        features = self.problem.features.index_select(0, self.problem.rows[chunk]).to(self.problem.products)
        return features, (features @ self.classifier.T).to(self.problem.wide)

    def _biased(self, logits: Tensor) -> Tensor:
        return logits if self.problem.bias is None else logits + self.problem.bias.to(self.problem.wide)

    def _hard_gradient(self, powers: Tensor, total: Tensor, chunk: slice, weights: Tensor) -> Tensor:
        """Return w (y - e), in place of the powers of which y is made, and add its sum over rows to the bias's."""
        gradient = powers.mul_((weights / total).unsqueeze(1))
        row, held = self.shard.place(self.problem.words[chunk])
        index = torch.arange(len(row), device=row.device)
        gradient.index_put_((index, row), -weights.where(held, 0), accumulate=True)
        if self.sums.bias is not None:
            self.sums.bias.add_(gradient.sum(0))
        return gradient

    def _add_student(self, chunk: slice, features: Tensor, gradient: Tensor) -> None:
        """Add this rank's part of dh = G W, and dW = G' H."""
        gradient = gradient.to(self.problem.products)
        if self.sums.features is not None:
            rows = self.problem.rows[chunk]
            self.sums.features.index_copy_(0, rows, (gradient @ self.classifier).to(self.problem.wide))
        if self.sums.classifier is not None:
            self.sums.classifier.add_outer(gradient, features)

    def _add_teacher(self, distinct: Tensor, vectors: Tensor, gradient: Tensor) -> None:
        """Add this rank's part of dL[u] = R L, and dL = R' L[u]."""
        assert self.at_vectors is not None
        assert self.sums.table is not None
        gradient = gradient.to(self.problem.products)
        self.at_vectors.index_add_(0, distinct, (gradient @ self.table).to(self.problem.wide))
        self.sums.table.add_outer(gradient, vectors)


class _Softened(NamedTuple):
    """Logits divided by tau and less the largest of their row, at the words held here."""

    student: Tensor
    """[C, V / R]"""
    teacher: Tensor
    """[U, V / R]"""
    of_row: Tensor
    """For each row of the student the teacher's [C]."""


def _at_teacher(logits: _Softened, soft: Tensor, weights: Tensor, divergence: Tensor) -> Tensor:
    """Return y~ (D - y~ . D) [U, V / R]; y~ . D asks for no reduction, being the rows' divergence but for a constant.

    Args:
        soft: y~ at the words held here [U, V / R].
        weights: w [C].
        divergence: y~ . (teacher - student) over all V words [C].
    """

    def by_target(values: Tensor) -> Tensor:
        return values.new_zeros(len(soft)).index_add_(0, logits.of_row, values).unsqueeze(1)

    difference = logits.teacher * by_target(weights)
    difference.index_add_(0, logits.of_row, logits.student * weights.unsqueeze(1), alpha=-1)
    return difference.sub_(by_target(weights * divergence)).mul_(soft)


def _filled(logits: Tensor, columns: Tensor | None, value: float) -> Tensor:
    return logits if columns is None else logits.masked_fill(columns, value)
