"""The sweep over chunks of rows: losses, and the gradients that are asked for, of the augmented loss (see `chunked`).

Every array over the vocabulary has at most as many rows as the chunk. Matrix products take inputs of the type
`Problem.products`; everything else, and every sum over chunks, is float32, or float64 where the tables are.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tiedlm.losses.gradient_sums import Gradients, GradientSums
from tiedlm.losses.logits import logits_into
from tiedlm.losses.passes import Sink, Student, Teacher
from tiedlm.losses.problem import Problem
from tiedlm.losses.workspace import logits_buffer
from tiedlm.native.cuda_graph import values_unread


def sweep(problem: Problem, weights: Tensor | None, wanted: Sequence[bool]) -> tuple[Tensor, Tensor, Gradients]:
    """Return cross-entropy and divergence of every row in `problem.rows` [N'], and the gradients of the weighted sum.

    Args:
        weights: factor of each row's loss in the sum that is differentiated [N'], or None where nothing is wanted.
        wanted: whether the gradients of features, classifier, table and bias are wanted.
    """
    with torch.autocast(problem.classifier.device.type, enabled=False):
        sums = GradientSums(problem, wanted)
        weights, unit = problem.in_range(weights)
        sweeper = _Sweeper(problem, sums, differentiate=weights is not None)
        losses = torch.zeros(2, len(problem.rows), dtype=problem.wide, device=problem.rows.device)
        for chunk in problem.chunks():
            chunk_weights = None if weights is None else weights[chunk].to(problem.wide)
            losses[:, chunk] = sweeper.run(problem.rows[chunk], problem.words[chunk], chunk_weights)
        return losses[0], losses[1], sums.gradients(problem, unit)


class _Sweeper:
    """What the chunks share: the tables in the products' type, and the buffer of logits, which each chunk overwrites.

    Its first C rows are the student's, the U below them the teacher's; each is overwritten by the gradient there. In a
    tied model the word vectors of a chunk's distinct targets are U more rows of the three products.
    """

    def __init__(self, problem: Problem, sums: GradientSums, *, differentiate: bool) -> None:
        self.problem, self.sums, self.passes = problem, sums, problem.passes
        self.classifier = problem.classifier.to(problem.products)
        self.table = self.classifier if problem.table is None else problem.table.to(problem.products)
        own = problem.classifier if problem.table is None else problem.table
        self.center = own.to(problem.wide).mean(0) if problem.center_table else None
        self.through = differentiate and problem.gamma > 0 and not problem.detach_target and sums.table is not None
        rows = min(problem.rows_at_once, len(problem.rows)) * (1 if problem.gamma == 0 else 2)
        self.logits = logits_buffer(rows, self.classifier)

    def run(self, rows: Tensor, words: Tensor, weights: Tensor | None) -> Tensor:
        """Return the two losses of a chunk's rows [2, C] and add its gradients to the sums."""
        problem = self.problem
        features = problem.features.index_select(0, rows).to(problem.products)
        if problem.gamma == 0:
            return self._cross_entropy(features, rows, words, weights)
        distinct, of_row = _distinct(words)
        vectors = self._vectors(distinct)
        at_features, at_vectors = self._logits(features, vectors)
        student = Student(at_features, problem.bias, words)
        teacher = Teacher(of_row, at_vectors, problem.vocabulary_mask)
        options = (problem.temperature, problem.gamma, problem.wide)
        losses = self.passes.augmented(student, teacher, *options, self._sink(weights, self.through))
        if weights is not None:
            self._add_gradients(features, rows, vectors, distinct)
        return torch.stack(losses)

    def _cross_entropy(self, features: Tensor, rows: Tensor, words: Tensor, weights: Tensor | None) -> Tensor:
        logits = logits_into(self.logits[: len(rows)], features, self.classifier)
        student = Student(logits, self.problem.bias, words)
        losses = self.passes.cross_entropy(student, self.problem.wide, self._sink(weights))
        if weights is not None:
            self._add_student(features, rows)
        return torch.stack([losses, torch.zeros_like(losses)])

    def _logits(self, features: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return W h [C, V] and L l [U, V]; one product where the table is one."""
        count, total = len(features), len(features) + len(vectors)
        if self.table is self.classifier:
            logits_into(self.logits[:total], torch.cat([features, vectors]), self.classifier)
        else:
            logits_into(self.logits[:count], features, self.classifier)
            logits_into(self.logits[count:total], vectors, self.table)
        return self.logits[:count], self.logits[count:total]

    def _vectors(self, distinct: Tensor) -> Tensor:
        """Return the vectors l of the distinct targets [U, D]; what centring adds to a row of logits, softmax drops."""
        if self.center is None:
            return self.table.index_select(0, distinct)
        own = self.problem.classifier if self.problem.table is None else self.problem.table
        return (own.index_select(0, distinct).to(self.problem.wide) - self.center).to(self.problem.products)

    def _sink(self, weights: Tensor | None, through: bool = False) -> Sink | None:
        return None if weights is None else Sink(weights, self.sums.bias, through)

    def _rows(self, vectors: Tensor, after: Tensor) -> Tensor:
        """Return R [U, V], which stands below G."""
        return self.logits[len(after) : len(after) + len(vectors)]

    def _add_gradients(self, features: Tensor, rows: Tensor, vectors: Tensor, distinct: Tensor) -> None:
        if not self.through:
            self._add_student(features, rows)
        elif self.table is self.classifier:
            self._add_stacked(features, rows, vectors, distinct)
        else:
            self._add_student(features, rows)
            self._add_teacher(self._rows(vectors, after=features), vectors, distinct)

    def _add_student(self, features: Tensor, rows: Tensor) -> None:
        """Add dh = G W and dW = G' H."""
        gradient = self.logits[: len(rows)]
        if self.sums.features is not None:
            self.sums.features.index_copy_(0, rows, torch.mm(gradient, self.classifier).to(self.problem.wide))
        if self.sums.classifier is not None:
            self.sums.classifier.add_outer(gradient, features)

    def _add_teacher(self, gradient: Tensor, vectors: Tensor, distinct: Tensor) -> None:
        """Add dL[u] = R L and dL = R' L[u]."""
        assert self.sums.table is not None
        self.sums.table.add_outer(gradient, vectors)
        self._add_vectors(distinct, torch.mm(gradient, self.table).to(self.problem.wide))

    def _add_vectors(self, distinct: Tensor, gradient: Tensor) -> None:
        """Add dL[u] [U, D], and where the table is centred what the mean takes off all."""
        assert self.sums.table is not None
        self.sums.table.add_rows(distinct, gradient)
        if self.center is not None:
            self.sums.mean = self.sums.mean - gradient.sum(0)

    def _add_stacked(self, features: Tensor, rows: Tensor, vectors: Tensor, distinct: Tensor) -> None:
        """Add all of it where the table is one: [dh; dL[u]] = [G; R] W and dW = [G; R]' [H; L[u]]."""
        if self.sums.features is None:
            self._add_teacher(self._rows(vectors, after=features), vectors, distinct)
            self._add_student(features, rows)
            return
        assert self.sums.table is not None
        gradient = self.logits[: len(rows) + len(vectors)]
        back = torch.mm(gradient, self.classifier).to(self.problem.wide)
        self.sums.features.index_copy_(0, rows, back[: len(rows)])
        self.sums.table.add_outer(gradient, torch.cat([features, vectors]))
        self._add_vectors(distinct, back[len(rows) :])


def _distinct(words: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct ones of sorted words [U], and for each word its place among them [C].

    Where their number is to stay unread, U is C, and behind the distinct ones stands word 0, which no row has as its
    own: its gradients are 0.
    """
    if not values_unread():
        return torch.unique_consecutive(words, return_inverse=True)
    of_row = F.pad(words[1:] != words[:-1], (1, 0)).cumsum(0)
    return torch.zeros_like(words).scatter_(0, of_row, words), of_row
