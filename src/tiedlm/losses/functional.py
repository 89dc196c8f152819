"""The augmented loss as it is defined: the readable version, against which every faster one is compared.

Inan, Khosravi & Socher, "Tying Word Vectors and Word Classifiers" (ICLR 2017), equations 2.4, 3.1-3.7. For a prediction
with features h and target word w, with word vector l = L[w]:

    y  = softmax(W h + b)         (2.3)    the prediction
    J  = -log y[w]                (2.4)    cross-entropy
    y^ = softmax(W h / tau)       (3.1)    softened prediction, without bias
    y~ = softmax(L l / tau)       (3.7)    softened target: words whose vectors are like the target's
    J_aug = KL(y~ || y^)          (3.2)
    J_tot = J + gamma tau J_aug   (3.3, with alpha = gamma tau)

The letters of the shapes stand in `tiedlm.axes`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tiedlm.errors import ArgumentError
from tiedlm.losses.arguments import (
    Reduction,
    check_bias,
    check_linear,
    check_options,
    check_partner,
    check_table,
    check_targets,
)


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
        logits: W h, without bias [N, V].
        teacher_logits: L l for the target of each prediction [N, V]; rows of ignored targets do not matter.
        targets: word ids [N], or `ignore_index`.
        bias: b of eq. 2.3 [V]; enters y alone, neither y^ nor y~.
        temperature: tau > 0 of both softened distributions.
        gamma: weight of the augmented term, 0 or more (alpha = gamma tau).
        detach_target: stop the gradient at y~.
        ignore_index: target value whose prediction counts for nothing.
        reduction: "mean" over the targets that count (0 where none does), "sum", or "none" [N].

    Raises:
        ArgumentError: shapes, types, devices or ranges that do not fit, before any work.
    """
    check_options(temperature, gamma, reduction)
    check_table("logits", logits)
    if teacher_logits.shape != logits.shape:
        raise ArgumentError(
            f"teacher_logits have the shape {list(teacher_logits.shape)}, but must have that of the logits, "
            f"{list(logits.shape)}: one row of L l for each prediction."
        )
    check_partner("teacher_logits", teacher_logits, logits)
    if bias is not None:
        check_partner("bias", bias, logits)
    check_bias(bias, logits.shape[1])
    check_targets(targets, logits.shape[:1], logits.shape[1], ignore_index)
    counts = targets != ignore_index
    total, _, _ = _terms(logits, teacher_logits, targets, counts, bias, temperature, gamma, detach_target)
    return reduce(total, counts, reduction)


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
) -> Tensor:
    """Return the augmented loss from features and word tables (eq. 3.3).

    Args:
        features: h [..., D].
        classifier: W [V, D].
        targets: word ids [...], or `ignore_index`.
        table: L, the word vectors by rows [V, any width]; None means tied, L = W.
        bias: b [V], or None.
        temperature, gamma, detach_target, ignore_index, reduction: as for `augmented_cross_entropy`.

    Raises:
        ArgumentError: shapes, types, devices or ranges that do not fit, before any work.
    """
    options = (table, bias, temperature, gamma, detach_target, ignore_index, reduction)
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
) -> LossTerms:
    """Return the loss of `linear_augmented_cross_entropy` together with its two terms."""
    check_options(temperature, gamma, reduction)
    check_linear(features, classifier, table, bias)
    check_targets(targets, features.shape[:-1], classifier.shape[0], ignore_index)
    counts = targets != ignore_index
    words = targets.where(counts, 0)
    vectors = classifier if table is None else table
    teacher_logits = vectors[words] @ vectors.T
    logits = features @ classifier.T
    terms = _terms(logits, teacher_logits, targets, counts, bias, temperature, gamma, detach_target)
    total, cross_entropy, divergence = (reduce(term, counts, reduction) for term in terms)
    return LossTerms(total, cross_entropy.detach(), divergence.detach())


def reduce(losses: Tensor, counts: Tensor, reduction: Reduction) -> Tensor:
    """Return the mean over the predictions that count (0 where none does), their sum, or all with 0 for the others."""
    kept = losses.where(counts, 0)
    if reduction == "none":
        return kept
    return kept.sum() / counts.sum().clamp(min=1) if reduction == "mean" else kept.sum()


def _terms(
    logits: Tensor,
    teacher_logits: Tensor,
    targets: Tensor,
    counts: Tensor,
    bias: Tensor | None,
    temperature: float,
    gamma: float,
    detach_target: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return J_tot, J and J_aug of every prediction, in float32 or better."""
    wide = torch.promote_types(logits.dtype, torch.float32)
    logits, teacher_logits = logits.to(wide), teacher_logits.to(wide)
    log_y = F.log_softmax(logits if bias is None else logits + bias, dim=-1)  # 2.3
    cross_entropy = -log_y.gather(-1, targets.where(counts, 0).unsqueeze(-1)).squeeze(-1)  # 2.4
    if gamma == 0:
        return cross_entropy, cross_entropy, torch.zeros_like(cross_entropy)
    log_y_hat = F.log_softmax(logits / temperature, dim=-1)  # 3.1
    log_y_tilde = F.log_softmax(teacher_logits / temperature, dim=-1)  # 3.7
    if detach_target:
        log_y_tilde = log_y_tilde.detach()
    divergence = (log_y_tilde.exp() * (log_y_tilde - log_y_hat)).sum(-1)  # 3.2
    return cross_entropy + gamma * temperature * divergence, cross_entropy, divergence  # 3.3
