"""The gradients of a chunked loss, while they are summed over the chunks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tiedlm.losses.problem import Problem

Gradients = tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]
"""Gradients of features, classifier, table and bias; None where it was not asked for."""


class GradientSums:
    """The gradients while they are summed over chunks, in the wide type."""

    def __init__(self, problem: Problem, wanted: Sequence[bool]) -> None:
        def zeros(like: Tensor | None, asked: bool) -> Tensor | None:
            return torch.zeros_like(like, dtype=problem.wide) if asked and like is not None else None

        self.features = zeros(problem.features, wanted[0])
        self.classifier = zeros(problem.classifier, wanted[1])
        own_table = problem.table is not None
        self.table = zeros(problem.table, wanted[2]) if own_table else self.classifier
        self.own_table = own_table
        self.bias = zeros(problem.bias, wanted[3])
        self.mean = problem.classifier.new_zeros((), dtype=problem.wide)
        """Gradient of the tables' mean, where the table is centred [D] or ()."""

    def gradients(self, problem: Problem, unit: Tensor | None) -> Gradients:
        """Return the sums, times `unit`, in the type they are kept in; each word has its part in the mean."""
        dtype = problem.kept
        if problem.center_table and self.table is not None:
            self.table += self.mean / len(self.table)
        for total in (self.features, self.classifier, self.table if self.own_table else None, self.bias):
            if total is not None and unit is not None:
                total *= unit
        table = self.table if self.own_table else None
        sums = (self.features, self.classifier, table, self.bias)
        features, classifier, table, bias = (None if total is None else total.to(dtype) for total in sums)
        return features, classifier, table, bias


def add_outer(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left' right to `total`, in its type."""
    if total.dtype == left.dtype:
        total.addmm_(left.T, right)
    else:
        total += torch.mm(left.T, right)
