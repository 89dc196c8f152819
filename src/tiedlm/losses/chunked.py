"""The augmented loss over chunks of rows: the definition's values and gradients, never more than chunk x V of anything.

The rows are sorted by target, so a chunk touches few distinct words and each soft target is computed once for all its
rows. With p = y, q = y^, w_t the weight of row t in the reduced loss, e the one-hot target and J as in `functional`:

    KL(y~ || q) = logsumexp(z / tau) - y~ . z / tau - H(y~)
    G_t  = w_t [(p - e) + gamma (q - y~)]                    gradient at the logits z = W h, y~ held (eq. 3.4)
    D_u  = sum over rows t with target u of w_t (log y~_u - log q_t)
    R_u  = gamma y~_u (D_u - y~_u . D_u)                     gradient at the teacher's logits, through y~

so that dh = G W, dW = G' H, and through y~: dL[u] += R L, dL += R' L[u]. Both losses share one pair of products.
Gradients are computed in the forward pass for the reductions "mean" and "sum"; for "none" the sweep is repeated in the
backward pass with the arriving weights.

A gradient of the gradient is refused: the gradients were computed outside autograd, and would count as constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError
from tiedlm.losses.arguments import Reduction, check_chunk_rows, check_linear, check_options, check_targets
from tiedlm.losses.functional import LossTerms
from tiedlm.losses.passes import Passes, PlainPasses
from tiedlm.losses.sweep import Gradients, Problem, sweep

CPU_CHUNK_ROWS = 512
"""Rows of a chunk on a CPU: 64 to 700 rows measure alike there, and fewer are slower (benchmarks/losses.py)."""


def linear_augmented_cross_entropy(
    features: Tensor,
    classifier: Tensor,
    targets: Tensor,
    *,
    table: Tensor | None = None,
    bias: Tensor | None = None,
    temperature: float = 20.0,
    gamma: float = 0.5,
    detach_target: bool = False,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    chunk_rows: int | None = None,
) -> Tensor:
    """Return the loss of `functional.linear_augmented_cross_entropy`, computed over chunks of rows.

    Args:
        chunk_rows: rows of logits at one time, 1 or more, half of them for the soft targets; None picks a number that
            measured well.
        features, classifier, targets, table, bias, temperature, gamma, detach_target, ignore_index, reduction: as in
            the definition, with the same shapes, ranges and errors.

    Raises:
        ArgumentError: what the definition refuses, or a chunk below 1.
    """
    options = (table, bias, temperature, gamma, detach_target, ignore_index, reduction, chunk_rows)
    return linear_augmented_terms(features, classifier, targets, *options).total


def linear_augmented_terms(
    features: Tensor,
    classifier: Tensor,
    targets: Tensor,
    table: Tensor | None = None,
    bias: Tensor | None = None,
    temperature: float = 20.0,
    gamma: float = 0.5,
    detach_target: bool = False,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    chunk_rows: int | None = None,
    passes: Passes | None = None,
) -> LossTerms:
    """Return the loss of `linear_augmented_cross_entropy` together with its two terms.

    Args:
        passes: what is done between the products (`passes`); None: PyTorch operations, one after the other.
    """
    check_options(temperature, gamma, reduction)
    check_linear(features, classifier, table, bias)
    check_targets(targets, features.shape[:-1], classifier.shape[0], ignore_index)
    check_chunk_rows(chunk_rows)
    options = (temperature, gamma, detach_target, ignore_index, reduction)
    settings = _Settings(*options, chunk_rows or CPU_CHUNK_ROWS, passes or PlainPasses())
    flat = features.reshape(-1, features.shape[-1])
    losses = _ChunkedLoss.apply(flat, classifier, table, bias, targets.reshape(-1), settings)
    terms = (term.reshape(targets.shape) if reduction == "none" else term for term in losses)  # pyright: ignore
    total, cross_entropy, divergence = terms
    return LossTerms(total, cross_entropy.detach(), divergence.detach())


@dataclass(frozen=True)
class _Settings:
    temperature: float
    gamma: float
    detach_target: bool
    ignore_index: int
    reduction: Reduction
    chunk_rows: int
    passes: Passes


class _ChunkedLoss(torch.autograd.Function):
    """Autograd's view of the sweep. Outputs: total, cross-entropy, divergence; the last two carry no gradient."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> tuple[Tensor, ...]:
        *tensors, settings = inputs
        targets = tensors[4]
        rows, scale = _rows_and_scale(targets, settings)
        wanted, weights = _NOTHING, None
        if settings.reduction != "none" and any(ctx.needs_input_grad[:4]):
            wanted = tuple(ctx.needs_input_grad[:4])
            weights = torch.full(rows.shape, scale, dtype=torch.float64, device=rows.device)
        cross_entropy, divergence, gradients = sweep(_problem(tensors, rows, settings), weights, wanted)
        ctx.settings, ctx.products = settings, _products(tensors[1])
        ctx.present = [gradient is not None for gradient in gradients]
        ctx.save_for_backward(*(tensors if settings.reduction == "none" else _present(gradients)))
        total = cross_entropy + settings.gamma * settings.temperature * divergence
        terms = [_reduced(term, rows, scale, targets, settings) for term in (total, cross_entropy, divergence)]
        ctx.mark_non_differentiable(*terms[1:])
        return tuple(terms)

    @staticmethod
    def backward(ctx: Any, *arriving: Tensor) -> tuple[Tensor | None, ...]:
        _refuse_double_backward()
        if ctx.settings.reduction == "none":
            return (*_repeated(ctx, arriving[0]), None, None)
        saved = iter(ctx.saved_tensors)
        gradients = [next(saved) * arriving[0] if present else None for present in ctx.present]
        return (*gradients, None, None)


_NOTHING = (False, False, False, False)


def _refuse_double_backward() -> None:
    """Raise where autograd records the backward pass, as it does with create_graph=True."""
    if torch.is_grad_enabled():
        raise ArgumentError(
            "A gradient of the gradient was asked for (create_graph=True), but implementation 'chunked' gives first "
            "derivatives only: use 'functional'."
        )


def _repeated(ctx: Any, arriving: Tensor) -> Gradients:
    """Sweep again, now that the weight of every row is known."""
    rows, _ = _rows_and_scale(ctx.saved_tensors[4], ctx.settings)
    problem = _problem(ctx.saved_tensors, rows, ctx.settings, ctx.products)
    return sweep(problem, arriving.index_select(0, rows), ctx.needs_input_grad[:4])[2]


def _problem(
    tensors: Sequence[Tensor | None], rows: Tensor, settings: _Settings, products: torch.dtype | None = None
) -> Problem:
    features, classifier, table, bias, targets = tensors
    assert features is not None
    assert classifier is not None
    assert targets is not None
    return Problem(
        features=features.detach(),
        classifier=classifier.detach(),
        table=None if table is None else table.detach(),
        bias=None if bias is None else bias.detach(),
        rows=rows,
        words=targets.index_select(0, rows),
        temperature=settings.temperature,
        gamma=settings.gamma,
        detach_target=settings.detach_target,
        chunk_rows=settings.chunk_rows,
        products=products or _products(classifier),
        passes=settings.passes,
    )


def _rows_and_scale(targets: Tensor, settings: _Settings) -> tuple[Tensor, float]:
    """Return the rows that count, sorted by target, and the factor of each in the reduced loss."""
    counting = (targets != settings.ignore_index).nonzero().squeeze(1)
    rows = counting[targets[counting].argsort(stable=True)]
    return rows, 1 / max(len(rows), 1) if settings.reduction == "mean" else 1.0


def _products(classifier: Tensor) -> torch.dtype:
    """Return the type that autocast asks of matrix products here, or the tables' own."""
    kind = classifier.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else classifier.dtype


def _reduced(term: Tensor, rows: Tensor, scale: float, targets: Tensor, settings: _Settings) -> Tensor:
    if settings.reduction != "none":
        return term.sum() * scale
    return torch.zeros(targets.shape, dtype=term.dtype, device=term.device).index_copy_(0, rows, term)


def _present(gradients: Gradients) -> list[Tensor]:
    return [gradient for gradient in gradients if gradient is not None]
