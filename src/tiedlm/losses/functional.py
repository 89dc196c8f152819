"""The augmented loss as it is defined: the readable version, against which every faster one is compared.

Inan, Khosravi & Socher, "Tying Word Vectors and Word Classifiers" (ICLR 2017), equations 2.4, 3.1-3.7. For a prediction
with features h and target word w, with word vector l = L[w]:

    y  = softmax(W h + b)         (2.3)    the prediction
    J  = -log y[w]                (2.4)    cross-entropy
    y^ = softmax(W h / tau)       (3.1)    softened prediction, without bias
    y~ = softmax(L l / tau)       (3.7)    softened target: words whose vectors are like the target's
                                           (with a mask: over the words that it allows)
    J_aug = KL(y~ || y^)          (3.2)
    J_tot = J + gamma tau J_aug   (3.3, with alpha = gamma tau)

The letters of the shapes are listed in `tiedlm.__doc__`.
"""

from __future__ import annotations

from typing import NamedTuple, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from tiedlm.derivatives import in_transform
from tiedlm.errors import ArgumentError
from tiedlm.losses.arguments import (
    Reduction,
    check_bias,
    check_local,
    check_logits,
    check_options,
    check_partner,
    check_target_values,
    check_targets,
    check_values,
)
from tiedlm.losses.inputs import LossInputs, LossOptions


class LossTerms(NamedTuple):
    """The loss and what it is made of; `cross_entropy` and `divergence` carry no gradient."""

    total: Tensor
    """J_tot, reduced as asked."""
    cross_entropy: Tensor
    """J in nats, reduced the same way: its exponential is a perplexity, that of `total` is not."""
    divergence: Tensor
    """J_aug = KL(y~ || y^) in nats, reduced the same way, not yet multiplied by gamma tau."""


def augmented_cross_entropy(
    logits: Tensor,
    teacher_logits: Tensor,
    targets: Tensor,
    *,
    bias: Tensor | None = None,
    temperature: float = 20.0,
    gamma: float = 0.5,
    detach_target: bool = False,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Tensor:
    """Return cross-entropy plus the augmented term, from logits (eq. 3.3).

    Args:
        logits: W h, without bias [N, V]; N may be 0.
        teacher_logits: L l for the target of each prediction [N, V].
        targets: word ids [N], or `ignore_index`; what the rows of ignored targets hold does not matter.
        bias: b of eq. 2.3 [V]; enters y alone, neither y^ nor y~.
        temperature: tau in [1e-3, 1e6], of both softened distributions.
        gamma: weight of the augmented term, in [0, 1e6] (alpha = gamma tau).
        detach_target: stop the gradient at y~.
        ignore_index: target value whose prediction counts for nothing.
        reduction: "mean" over the targets that count (0 where none does), "sum", or "none" [N].

    Raises:
        ArgumentError: shapes, types, devices or ranges that do not fit, before any work.
    """
    check_options(temperature, gamma, reduction)
    check_local(logits=logits, teacher_logits=teacher_logits, targets=targets, bias=bias)
    check_logits(logits)
    if teacher_logits.shape != logits.shape:
        raise ArgumentError(
            f"teacher_logits have the shape {list(teacher_logits.shape)}, but must have that of the logits, "
            f"{list(logits.shape)}: one row of L l for each prediction."
        )
    check_partner("teacher_logits", teacher_logits, logits)
    if bias is not None:
        check_partner("bias", bias, logits)
    check_bias(bias, logits.shape[1])
    check_targets(targets, logits.shape[:1], logits.device)
    counts = targets != ignore_index
    if not _traced():
        check_target_values(targets, counts, logits.shape[1], ignore_index)
    given = _Options(bias, temperature, gamma, detach_target)
    logits, teacher_logits = (_cleared(rows, ~counts) for rows in (logits, teacher_logits))
    total, _, _ = _terms(logits, teacher_logits, targets.where(counts, 0), given)
    return reduce(total.where(counts, 0), counts.to(total.dtype), reduction)


def linear_augmented_cross_entropy(
    features: Tensor, classifier: Tensor, targets: Tensor, **options: Unpack[LossOptions]
) -> Tensor:
    """Return the augmented loss from features and word tables (eq. 3.3).

    Args:
        features: h [..., D].
        classifier: W [V, D].
        targets: word ids [...], or `ignore_index`.
        options: as for `linear.linear_augmented_cross_entropy`.

    Raises:
        ArgumentError: shapes, types, devices or ranges that do not fit, before any work.
    """
    return linear_augmented_terms(features, classifier, targets, **options).total


def linear_augmented_terms(
    features: Tensor, classifier: Tensor, targets: Tensor, **options: Unpack[LossOptions]
) -> LossTerms:
    """Return the loss of `linear_augmented_cross_entropy` together with its two terms."""
    given = LossInputs(features, classifier, targets, **options)
    if not _traced():
        check_values(targets, len(classifier), given.ignore_index, given.vocabulary_mask, given.token_weights)
    counts = targets != given.ignore_index
    words = targets.where(counts, 0)
    table = classifier if given.table is None else given.table
    vectors = table - table.mean(0) if given.center_table else table
    teacher_logits = vectors[words] @ vectors.T
    logits = _cleared(features, ~counts).to(classifier.dtype) @ classifier.T
    choices = _Options(given.bias, given.temperature, given.gamma, given.detach_target, given.vocabulary_mask)
    terms = _terms(logits, teacher_logits, words, choices)
    weights = counts.to(terms[0].dtype) if given.token_weights is None else given.token_weights.where(counts, 0)
    total, cross_entropy, divergence = (reduce(term.where(counts, 0), weights, given.reduction) for term in terms)
    return LossTerms(total, cross_entropy.detach(), divergence.detach())


def _traced() -> bool:
    """Return whether values must not be read, as `torch.compile` and `torch.func.vmap` could not follow."""
    return torch.compiler.is_compiling() or in_transform()


def reduce(losses: Tensor, weights: Tensor, reduction: Reduction) -> Tensor:
    """Return the mean of the losses under their weights (0 where all are 0), their weighted sum, or each with its."""
    weights = weights.to(losses.dtype)  # first: a sum in 16 bits is inexact, and may overflow
    weighted = losses * weights
    if reduction == "none":
        return weighted
    total = weights.sum()
    return weighted.sum() / total.where(total > 0, 1) if reduction == "mean" else weighted.sum()


def _cleared(rows: Tensor, ignored: Tensor) -> Tensor:
    """Return the rows with zeros for those ignored: a gradient of 0 times what is not finite would not be 0."""
    return rows.masked_fill(ignored.unsqueeze(-1), 0)


class _Options(NamedTuple):
    bias: Tensor | None
    temperature: float
    gamma: float
    detach_target: bool
    vocabulary_mask: Tensor | None = None


def _terms(logits: Tensor, teacher_logits: Tensor, words: Tensor, given: _Options) -> tuple[Tensor, Tensor, Tensor]:
    """Return J_tot, J and J_aug of every prediction, in float32 or better."""
    wide, temperature = torch.promote_types(logits.dtype, torch.float32), given.temperature
    logits, teacher_logits = logits.to(wide), teacher_logits.to(wide)
    log_y = F.log_softmax(logits if given.bias is None else logits + given.bias, dim=-1)  # 2.3
    cross_entropy = -log_y.gather(-1, words.unsqueeze(-1)).squeeze(-1)  # 2.4
    if given.gamma == 0:
        return cross_entropy, cross_entropy, torch.zeros_like(cross_entropy)
    log_y_hat = F.log_softmax(logits / temperature, dim=-1)  # 3.1
    log_y_tilde = _log_y_tilde(teacher_logits / temperature, given.vocabulary_mask)  # 3.7
    if given.detach_target:
        log_y_tilde = log_y_tilde.detach()
    difference = log_y_tilde - log_y_hat
    if given.vocabulary_mask is not None:
        difference = difference.masked_fill(~given.vocabulary_mask, 0)  # where y~ = 0, it adds nothing
    divergence = (log_y_tilde.exp() * difference).sum(-1)  # 3.2
    return cross_entropy + given.gamma * temperature * divergence, cross_entropy, divergence  # 3.3


def _log_y_tilde(scaled: Tensor, mask: Tensor | None) -> Tensor:
    return F.log_softmax(scaled if mask is None else scaled.masked_fill(~mask, -torch.inf), dim=-1)
