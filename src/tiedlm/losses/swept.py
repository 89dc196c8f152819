"""A call of the loss, worked out by a sweep: what is the same whether one process holds all words or several do."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tiedlm.losses.call import NOTHING, Call
from tiedlm.losses.chosen import Chosen, chosen_rows, reduced
from tiedlm.losses.functional import LossTerms
from tiedlm.losses.gradient_sums import Gradients
from tiedlm.losses.passes import Passes, PlainPasses
from tiedlm.losses.passes_compiled import CompiledPasses
from tiedlm.losses.problem import Problem
from tiedlm.native.cuda_graph import values_unread

Sweep = Callable[[Problem, Tensor | None, Sequence[bool]], tuple[Tensor, Tensor, Gradients]]
"""Takes a problem, the weights of its rows and what is wanted, and returns as `sweep.sweep` does."""


def swept(call: Call, sweep: Sweep) -> tuple[list[Tensor], Gradients]:
    """Return total, cross-entropy and divergence, reduced, and the gradients of the total that can be had with it."""
    chosen = chosen_rows(call)
    now = call.reduction != "none" and any(call.wanted)
    weights = chosen.weights * chosen.scale if now else None
    cross_entropy, divergence, gradients = sweep(problem_of(call, chosen), weights, call.wanted if now else NOTHING)
    total = cross_entropy + call.gamma * call.temperature * divergence
    return [reduced(term, chosen, call) for term in (total, cross_entropy, divergence)], gradients


def swept_again(call: Call, sweep: Sweep, arriving: Tensor) -> Gradients:
    """Return the gradients for what arrived in the backward pass: a factor for every target's loss [N], or one []."""
    chosen = chosen_rows(call)
    factors = arriving.expand(call.targets.shape).index_select(0, chosen.rows)
    return sweep(problem_of(call, chosen), chosen.weights * chosen.scale * factors, call.wanted)[2]


def problem_of(call: Call, chosen: Chosen) -> Problem:
    """Return what a sweep is to work out."""
    return Problem(
        features=_features(call),
        classifier=call.classifier,
        table=call.table,
        bias=call.bias,
        rows=chosen.rows,
        words=chosen.words,
        temperature=call.temperature,
        gamma=call.gamma,
        detach_target=call.detach_target,
        chunk_rows=call.chunk_rows,
        products=call.products,
        vocabulary_mask=_mask(call),
        center_table=call.center_table,
        passes=_passes(call.passes),
    )


def _features(call: Call) -> Tensor:
    """Return the features [N, D]; where all rows are taken, those that do not count are 0, whatever they hold."""
    if not values_unread():
        return call.features
    return call.features.masked_fill((call.targets == call.ignore_index).unsqueeze(1), 0)


def _mask(call: Call) -> Tensor | None:
    """Return the mask [V]; where all rows are taken, one that forbids every word, as it may if none counts, is none."""
    if call.vocabulary_mask is None or not values_unread():
        return call.vocabulary_mask
    return call.vocabulary_mask | ~call.vocabulary_mask.any()


@functools.cache
def _passes(name: str) -> Passes:
    if name == "triton":
        from tiedlm.losses.passes_triton import TritonPasses  # here, as Triton is not everywhere

        return TritonPasses()
    return CompiledPasses() if name == "compiled" else PlainPasses()


def terms_of(losses: Sequence[Tensor], shape: torch.Size) -> LossTerms:
    """Return the losses of a call as its caller wants them: shaped like the targets, only the total differentiable."""
    total, cross_entropy, divergence = (loss.reshape(shape) if loss.dim() else loss for loss in losses)
    return LossTerms(total, cross_entropy.detach(), divergence.detach())
