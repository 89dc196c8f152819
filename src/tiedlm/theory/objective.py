"""The loss of the paper's theory experiment (Inan et al. 2017, equation 6.1).

    J_tot = beta tau^2 V J_aug + (1 - beta) J

with J and J_aug as in `tiedlm.losses.functional`. The factor tau^2 V keeps the augmented term's size as tau grows: by
equation 4.3 its gradient at the logits goes to W h - L u, each less its mean over the words.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tiedlm.theory.weights import check_weights


class TheoryLoss(NamedTuple):
    """The loss of a window, and what it is made of; every part summed over the window's words."""

    total: Tensor
    """J_tot."""
    cross_entropy: Tensor
    """J in nats, without gradient."""
    divergence: Tensor
    """J_aug = KL(y~ || y^) in nats, without gradient, not multiplied by anything."""


def theory_loss(
    features: Tensor,
    classifier: Tensor,
    targets: Tensor,
    *,
    table: Tensor,
    bias: Tensor,
    temperature: float,
    beta: float,
    detach_target: bool = False,
) -> TheoryLoss:
    """Return equation 6.1, summed over words.

    Args:
        features: h [N, D].
        classifier: W [V, D].
        targets: word ids [N].
        table: word vectors L [V, D].
        bias: b of the cross-entropy [V]; no part of the augmented term.
        temperature: tau > 0.
        beta: share of the augmented term, in [0, 1].
        detach_target: stop the gradient at the soft target y~.

    Raises:
        ArgumentError: beta or temperature out of range.
    """
    check_weights(temperature, beta)
    logits = features @ classifier.T
    cross_entropy = F.cross_entropy(logits + bias, targets, reduction="sum")
    distinct, place = targets.unique(return_inverse=True)  # y~ is a function of the target alone
    soft_target = F.log_softmax(table[distinct] @ table.T / temperature, dim=-1)
    if detach_target:
        soft_target = soft_target.detach()
    prediction = F.log_softmax(logits / temperature, dim=-1)
    divergence = F.kl_div(prediction, soft_target[place], reduction="sum", log_target=True)
    parts = [(1 - beta, cross_entropy), (beta * temperature**2 * len(classifier), divergence)]
    total = torch.stack([share * part for share, part in parts if share > 0]).sum()  # no backward pass of 0 * part
    return TheoryLoss(total, cross_entropy.detach(), divergence.detach())
