"""The vocabulary-parallel loss as autograd sees it: gradients with the loss, or for "none" by a second sweep.

A gradient of the gradient is refused: the gradients were computed outside autograd, and would count as constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError
from tiedlm.losses.arguments import Reduction
from tiedlm.losses.shard_sweep import sweep
from tiedlm.losses.shards import Shard, ShardProblem
from tiedlm.ranks import Ranks


@dataclass(frozen=True)
class ShardCall:
    """All that must be alike on every rank, or they would wait for one another in vain."""

    words: int
    chunk_rows: int
    temperature: float
    gamma: float
    detach_target: bool
    center_table: bool
    ignore_index: int
    reduction: Reduction
    features: tuple[int, ...]
    table_width: int | None
    biased: bool
    masked: bool
    targets_checksum: int
    weights_checksum: int | None
    dtype: torch.dtype
    products: torch.dtype
    wanted: tuple[bool, ...]
    """Whether the gradients of features, classifier, table and bias are."""


class ParallelLoss(torch.autograd.Function):
    """Inputs: features, classifier, table, bias, targets [N], vocabulary mask, weights [N], `ShardCall` and `Ranks`.

    Outputs: total, cross-entropy and divergence, reduced or [N]; the last two carry no gradient.
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        """Return the losses, and keep their gradients, or the inputs for "none"."""
        *tensors, call, ranks = inputs
        problem, weights = _problem(tensors, call, ranks)
        if call.reduction == "mean":
            total = weights.sum()
            weights = weights / total.where(total > 0, 1)
        now = call.reduction != "none" and any(call.wanted)
        cross_entropy, divergence, gradients = _swept(problem, weights if now else None, call.wanted)
        ctx.call, ctx.ranks = call, ranks
        ctx.present = [gradient is not None for gradient in gradients]
        ctx.save_for_backward(*(tensors if call.reduction == "none" else _present(gradients)))
        total = cross_entropy + call.gamma * call.temperature * divergence
        terms = [
            _reduced(term * weights, problem.rows, tensors[4], call) for term in (total, cross_entropy, divergence)
        ]
        ctx.mark_non_differentiable(*terms[1:])
        return tuple(terms)

    @staticmethod
    def backward(ctx: Any, *arriving: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients; for "none" all ranks have to enter."""
        if torch.is_grad_enabled():
            raise ArgumentError(
                "A gradient of the gradient was asked for (create_graph=True), but the vocabulary-parallel loss gives "
                "first derivatives only: use implementation 'functional' in one process."
            )
        if ctx.call.reduction == "none":
            problem, weights = _problem(ctx.saved_tensors, ctx.call, ctx.ranks)
            gradients = _swept(problem, weights * arriving[0].index_select(0, problem.rows), ctx.call.wanted)[2]
        else:
            saved = iter(ctx.saved_tensors)
            gradients = (next(saved) * arriving[0] if present else None for present in ctx.present)
        gradients = (None if gradient is None else gradient.to(ctx.call.dtype) for gradient in gradients)
        return (*gradients, None, None, None, None, None)


def _swept(
    problem: ShardProblem, weights: Tensor | None, wanted: tuple[bool, ...]
) -> tuple[Tensor, Tensor, Sequence[Tensor | None]]:
    """Return the losses, and the gradients in the type they are kept in.

    In float16 entries of G about 1/V, times the weight 1/N of a mean, would be lost: there the largest weight becomes
    1,024 for the products, and the gradients stay wide until the backward pass, where a loss scale may come to them.
    """
    if weights is None or not len(weights) or problem.products != torch.float16:
        cross_entropy, divergence, gradients = sweep(problem, weights, wanted)
    else:
        unit = weights.abs().amax() / 1024
        unit = unit.where(unit > 0, 1)
        cross_entropy, divergence, gradients = sweep(problem, weights / unit, wanted)
        gradients = [None if gradient is None else gradient * unit for gradient in gradients]
    dtype = problem.wide if problem.classifier.dtype == torch.float16 else problem.classifier.dtype
    return cross_entropy, divergence, [None if gradient is None else gradient.to(dtype) for gradient in gradients]


def _problem(tensors: Sequence[Tensor | None], call: ShardCall, ranks: Ranks) -> tuple[ShardProblem, Tensor]:
    """Return this rank's part of the loss, and the weights of the rows that count [N']."""
    features, classifier, table, bias = (None if one is None else one.detach() for one in tensors[:4])
    targets, mask, token_weights = tensors[4:]
    assert features is not None
    assert classifier is not None
    assert targets is not None
    counting = (targets != call.ignore_index).nonzero().squeeze(1)
    rows = counting[targets[counting].argsort(stable=True)]
    words, shard = targets.index_select(0, rows), Shard.of(ranks, call.words)
    options = (call.temperature, call.gamma, call.detach_target, call.chunk_rows, call.products, call.center_table)
    problem = ShardProblem(features, classifier, table, bias, rows, words, mask, shard, *options)
    if token_weights is None:
        return problem, torch.ones(rows.shape, dtype=problem.wide, device=rows.device)
    return problem, token_weights.index_select(0, rows).to(problem.wide)


def _reduced(weighted: Tensor, rows: Tensor, targets: Tensor, call: ShardCall) -> Tensor:
    if call.reduction != "none":
        return weighted.sum()
    return weighted.new_zeros(targets.shape).index_copy_(0, rows, weighted)


def _present(gradients: Sequence[Tensor | None]) -> list[Tensor]:
    return [gradient for gradient in gradients if gradient is not None]
