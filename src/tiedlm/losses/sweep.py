"""The sweep over chunks of rows: losses, and the gradients that are asked for, of the augmented loss (see `chunked`).

Every array over the vocabulary has at most as many rows as the chunk. Matrix products take inputs of the type
`Problem.products`; everything else, and every sum over chunks, is float32, or float64 where the tables are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tiedlm.losses.softened import Teacher, divergence_from, row_dot, soft_targets

Gradients = tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]
"""Gradients of features, classifier, table and bias; None where it was not asked for."""


@dataclass(frozen=True)
class Problem:
    """One loss to compute: tensors without history and the options, already checked."""

    features: Tensor
    classifier: Tensor
    table: Tensor | None
    bias: Tensor | None
    rows: Tensor
    """Rows of the features that count, sorted by target [N']."""
    words: Tensor
    """Their targets [N']."""
    temperature: float
    gamma: float
    detach_target: bool
    chunk_rows: int
    products: torch.dtype
    """Type of the inputs of matrix products."""

    @property
    def wide(self) -> torch.dtype:
        """Type of everything that is not the input of a matrix product."""
        return torch.promote_types(self.classifier.dtype, torch.float32)


class _Sums:
    """The gradients while they are summed over chunks, in the wide type."""

    def __init__(self, problem: Problem, wanted: tuple[bool, ...]) -> None:
        def zeros(like: Tensor | None, asked: bool) -> Tensor | None:
            return torch.zeros_like(like, dtype=problem.wide) if asked and like is not None else None

        self.features = zeros(problem.features, wanted[0])
        self.classifier = zeros(problem.classifier, wanted[1])
        own_table = problem.table is not None
        self.table = zeros(problem.table, wanted[2]) if own_table else self.classifier
        self.own_table = own_table
        self.bias = zeros(problem.bias, wanted[3])

    def gradients(self, problem: Problem) -> Gradients:
        dtype = problem.classifier.dtype
        table = self.table if self.own_table else None
        sums = (self.features, self.classifier, table, self.bias)
        features, classifier, table, bias = (None if total is None else total.to(dtype) for total in sums)
        return features, classifier, table, bias


def sweep(problem: Problem, weights: Tensor | None, wanted: tuple[bool, ...]) -> tuple[Tensor, Tensor, Gradients]:
    """Return cross-entropy and divergence of every row in `problem.rows` [N'], and the gradients of the weighted sum.

    Args:
        weights: factor of each row's loss in the sum that is differentiated [N'], or None where nothing is wanted.
        wanted: whether the gradients of features, classifier, table and bias are wanted.
    """
    with torch.autocast(problem.classifier.device.type, enabled=False):
        sums = _Sums(problem, wanted)
        classifier = problem.classifier.to(problem.products)
        table = classifier if problem.table is None else problem.table.to(problem.products)
        losses = torch.zeros(2, len(problem.rows), dtype=problem.wide, device=problem.rows.device)
        for chunk in _chunks(len(problem.rows), problem.chunk_rows):
            chunk_weights = None if weights is None else weights[chunk].to(problem.wide)
            losses[:, chunk] = _chunk(problem, classifier, table, chunk, chunk_weights, sums)
        return losses[0], losses[1], sums.gradients(problem)


def _chunks(rows: int, chunk_rows: int) -> Iterator[slice]:
    """Yield equal chunks, so that the last one is not a sliver."""
    count = -(-rows // chunk_rows)
    for index in range(count):
        yield slice(index * rows // count, (index + 1) * rows // count)


def _chunk(
    problem: Problem, classifier: Tensor, table: Tensor, chunk: slice, weights: Tensor | None, sums: _Sums
) -> Tensor:
    """Return the two losses of the chunk's rows [2, C] and add its gradients to `sums`."""
    rows, words = problem.rows[chunk], problem.words[chunk]
    features = problem.features.index_select(0, rows).to(problem.products)
    logits = (features @ classifier.T).to(problem.wide)
    prediction, cross_entropy = _cross_entropy(logits, problem.bias, words)
    if problem.gamma == 0:
        divergence, teacher, difference = torch.zeros_like(cross_entropy), None, None
    else:
        teacher = soft_targets(table, words, problem.temperature, problem.wide)
        difference, divergence = divergence_from(teacher, logits, problem.temperature)
    if weights is not None:
        gradient = _at_logits(prediction, words, weights, sums)
        if teacher is not None and difference is not None:
            gradient.addcmul_(difference, weights.unsqueeze(1), value=problem.gamma)  # eq. 3.4, alpha = gamma tau
            _through_teacher(problem, table, teacher, logits, weights, sums)
        _add_products(problem, classifier, gradient, features, rows, sums)
    return torch.stack([cross_entropy, divergence])


def _cross_entropy(logits: Tensor, bias: Tensor | None, words: Tensor) -> tuple[Tensor, Tensor]:
    """Return y (eq. 2.3) and -log y[target] (eq. 2.4), without ever taking the logarithm of an underflowed y."""
    biased = logits if bias is None else logits + bias.to(logits.dtype)
    prediction = biased.softmax(1)
    behind = biased.amax(1) - biased.gather(1, words.unsqueeze(1)).squeeze(1)
    return prediction, behind - prediction.amax(1).log()  # in this order a near-certain loss keeps its last bits


def _at_logits(prediction: Tensor, words: Tensor, weights: Tensor, sums: _Sums) -> Tensor:
    """Return w (p - e), in place of p."""
    gradient = prediction.mul_(weights.unsqueeze(1))
    index = torch.arange(len(words), device=words.device)
    gradient.index_put_((index, words), -weights, accumulate=True)
    if sums.bias is not None:
        sums.bias += gradient.sum(0)
    return gradient


def _through_teacher(
    problem: Problem, table: Tensor, teacher: Teacher, scaled: Tensor, weights: Tensor, sums: _Sums
) -> None:
    """Add the gradient through y~: R for each distinct target, dL[u] += R L and dL += R' L[u]."""
    if problem.detach_target or sums.table is None:
        return
    total = torch.zeros_like(teacher.normaliser).index_add_(0, teacher.of_row, weights)
    difference = teacher.logits * total.unsqueeze(1)
    difference.index_add_(0, teacher.of_row, scaled * weights.unsqueeze(1), alpha=-1)
    mean = row_dot(teacher.soft, difference)
    gradient = difference.sub_(mean.unsqueeze(1)).mul_(teacher.soft).mul_(problem.gamma).to(problem.products)
    sums.table.index_add_(0, teacher.words, (gradient @ table).to(problem.wide))
    _add_outer(sums.table, gradient, teacher.vectors)


def _add_products(
    problem: Problem, classifier: Tensor, gradient: Tensor, features: Tensor, rows: Tensor, sums: _Sums
) -> None:
    """Add dh = G W and dW = G' H."""
    gradient = gradient.to(problem.products)
    if sums.features is not None:
        sums.features.index_copy_(0, rows, (gradient @ classifier).to(problem.wide))
    if sums.classifier is not None:
        _add_outer(sums.classifier, gradient, features)


def _add_outer(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left' right to `total`, in its type."""
    if total.dtype == left.dtype:
        total.addmm_(left.T, right)
    else:
        total += left.T @ right
