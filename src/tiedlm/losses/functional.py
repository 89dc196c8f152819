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

Arguments are checked in `augmented`. The letters of the shapes are listed in `tiedlm.__doc__`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from tiedlm.losses.chunked import LossInputs


class LossTerms(NamedTuple):
    """The loss and what it is made of; `cross_entropy` and `divergence` carry no gradient."""

    total: Tensor
    """J_tot, reduced as asked."""
    cross_entropy: Tensor
    """J in nats, reduced the same way: its exponential is a perplexity, that of `total` is not."""
    divergence: Tensor
    """J_aug = KL(y~ || y^) in nats, reduced the same way, not yet multiplied by gamma tau."""


def token_terms(
    logits: Tensor,
    teacher_logits: Tensor,
    targets: Tensor,
    bias: Tensor | None,
    vocabulary_mask: Tensor | None,
    temperature: float,
    gamma: float,
    detach_target: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return J_tot, J and J_aug of every prediction [N], in float32 or float64, from W h and L l [N, V]."""
    accum_dtype = torch.promote_types(logits.dtype, torch.float32)
    logits, teacher_logits = logits.to(accum_dtype), teacher_logits.to(accum_dtype)
    log_y = F.log_softmax(logits if bias is None else logits + bias, dim=-1)  # 2.3
    cross_entropy = -log_y.gather(-1, targets.unsqueeze(-1)).squeeze(-1)  # 2.4
    if gamma == 0:
        return cross_entropy, cross_entropy, torch.zeros_like(cross_entropy)
    log_y_hat = F.log_softmax(logits / temperature, dim=-1)  # 3.1
    scaled = teacher_logits / temperature
    if vocabulary_mask is not None:
        scaled = scaled.masked_fill(~vocabulary_mask, -torch.inf)
    log_y_tilde = F.log_softmax(scaled, dim=-1)  # 3.7
    if detach_target:
        log_y_tilde = log_y_tilde.detach()
    difference = log_y_tilde - log_y_hat
    if vocabulary_mask is not None:
        difference = difference.masked_fill(~vocabulary_mask, 0)  # where y~ = 0, it adds nothing
    divergence = (log_y_tilde.exp() * difference).sum(-1)  # 3.2
    return cross_entropy + gamma * temperature * divergence, cross_entropy, divergence  # 3.3


def reduce_terms(terms: tuple[Tensor, Tensor, Tensor], weights: Tensor, reduction: str) -> LossTerms:
    """Return the terms [N] as their mean under the weights [N] (0 where all are 0), weighted sum, or each weighted."""
    weights = weights.to(terms[0].dtype)
    # a row that does not count may hold anything, and its loss too
    weighted = [term.masked_fill(weights == 0, 0) * weights for term in terms]
    if reduction != "none":
        total = weights.sum() if reduction == "mean" else weights.new_ones(())
        weighted = [term.sum() / total.where(total > 0, 1) for term in weighted]
    return LossTerms(weighted[0], weighted[1].detach(), weighted[2].detach())


def linear_terms(inputs: LossInputs) -> LossTerms:
    """Return the same from features [N, D], classifier W [V, D] and table L [V, D'] (None: tied, L = W), reduced."""
    out = inputs.weights == 0  # their gradient would be 0 times what is perhaps not finite
    features, targets = inputs.features.masked_fill(out.unsqueeze(1), 0), inputs.targets.masked_fill(out, 0)
    vectors = inputs.classifier if inputs.table is None else inputs.table
    teacher_logits = vectors[targets] @ vectors.T
    logits = features @ inputs.classifier.T
    numbers = (inputs.temperature, inputs.gamma, inputs.detach_target)
    terms = token_terms(logits, teacher_logits, targets, inputs.bias, inputs.vocabulary_mask, *numbers)
    return reduce_terms(terms, inputs.weights, inputs.reduction)
