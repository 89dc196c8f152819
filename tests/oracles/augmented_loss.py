"""The augmented loss as the paper writes it, token by token and word by word, in float64: values and gradients.

Scope: equations 2.1-3.7 of Inan, Khosravi & Socher (2017), and the gradients that follow from them by hand, each per
token. Slow on purpose, and it imports nothing but numpy, so that it can disagree with the package it judges. `L` is
stored by rows, [V, D'] (the paper writes its transpose). The gradients are themselves held against finite differences
of the values in `tests/oracles/test_oracles.py`.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One loss to work out: the arrays of the linear form and its numbers.

    `features` [N, D], `classifier` [V, D], `targets` [N], `table` [V, D'] (None: tied, it is the classifier),
    `bias` [V] or None.
    """

    features: Array
    classifier: Array
    targets: NDArray[np.int64]
    table: Array | None = None
    bias: Array | None = None
    temperature: float = 20.0
    gamma: float = 0.5
    ignore_index: int = -100
    allowed: tuple[bool, ...] | None = None
    """For each word whether a soft target may name it; None: all."""
    centred: bool = False
    """Whether the table's mean is taken off the vectors of the soft target."""
    weights: Array | None = None
    """Weight of each token's loss; None: 1."""

    @property
    def teacher_table(self) -> Array:
        table = self.classifier if self.table is None else self.table
        return table - table.mean(axis=0) if self.centred else table

    def may_name(self, word: int) -> bool:
        return self.allowed is None or self.allowed[word]

    @property
    def scored(self) -> list[int]:
        return [t for t, target in enumerate(self.targets) if target != self.ignore_index]


@dataclass(frozen=True)
class Gradients:
    """The derivative of a weighted sum of per-token losses; None for a table that is tied, or no bias."""

    features: Array
    classifier: Array
    table: Array | None
    bias: Array | None


def log_softmax(values: list[float]) -> list[float]:
    """log softmax(values), each entry by its definition after the maximum has been taken off."""
    top = max(values)
    normaliser = math.log(sum(math.exp(value - top) for value in values))
    return [value - top - normaliser for value in values]  # of -inf: -inf


def distributions(logits: list[float], teacher_logits: list[float], bias: list[float], temperature: float):
    """log y (eq. 2.3), log ŷ (eq. 3.1, no bias) and log ỹ (eq. 3.7) of one token; a teacher's logit of -inf forbids."""
    log_y = log_softmax([z + b for z, b in zip(logits, bias, strict=True)])
    log_y_hat = log_softmax([z / temperature for z in logits])
    log_y_tilde = log_softmax([v / temperature for v in teacher_logits])
    return log_y, log_y_hat, log_y_tilde


def divergence(log_left: list[float], log_right: list[float]) -> float:
    """KL(left ‖ right) (eq. 3.2)."""
    return math.fsum(math.exp(a) * (a - b) for a, b in zip(log_left, log_right, strict=True) if a > -math.inf)


def token_loss(
    logits: list[float], teacher_logits: list[float], target: int, bias: list[float], temperature: float, gamma: float
) -> float:
    """J + α J_aug (eq. 2.4, 3.2, 3.3) of one token, with α = γτ."""
    log_y, log_y_hat, log_y_tilde = distributions(logits, teacher_logits, bias, temperature)
    return -log_y[target] + gamma * temperature * divergence(log_y_tilde, log_y_hat)


def logits_of(problem: Problem, t: int) -> tuple[list[float], list[float], list[float]]:
    """W h_t, L u_t with u_t the target's own word vector (eq. 3.6), and b, of token t, one word at a time."""
    table, words = problem.teacher_table, range(len(problem.classifier))
    u = table[problem.targets[t]]
    logits = [math.fsum(problem.classifier[i] * problem.features[t]) for i in words]
    teacher_logits = [math.fsum(table[i] * u) if problem.may_name(i) else -math.inf for i in words]
    bias = [0.0 for _ in words] if problem.bias is None else [float(b) for b in problem.bias]
    return logits, teacher_logits, bias


def values(problem: Problem) -> Array:
    """The loss of every token [N] without its weight, 0 where the target is ignored."""
    losses = np.zeros(len(problem.targets))
    for t in problem.scored:
        logits, teacher_logits, bias = logits_of(problem, t)
        losses[t] = token_loss(
            logits, teacher_logits, int(problem.targets[t]), bias, problem.temperature, problem.gamma
        )
    return losses


def token_weights(problem: Problem, reduction: str) -> Array:
    """What each token's loss is multiplied with [N]: its weight for a sum, over the weights' sum for a mean."""
    weights = np.zeros(len(problem.targets))
    for t in problem.scored:
        weights[t] = 1.0 if problem.weights is None else problem.weights[t]
    total = math.fsum(weights)
    return weights / total if reduction == "mean" and total > 0 else weights


def reduced(problem: Problem, reduction: str) -> float:
    """The summed or mean loss; a mean over no token at all is 0."""
    return float(math.fsum(token_weights(problem, reduction) * values(problem)))


def logit_gradients(problem: Problem, t: int, *, detach_target: bool) -> tuple[Array, Array, Array]:
    """Derivatives of token t's loss by W h_t through y (so by b too), by W h_t through ŷ, and by L u_t.

    They are y − y*, γ(ŷ − ỹ) (eq. 3.4 times α) and γ ỹ_i (D_i − Σ_j ỹ_j D_j) with D = log ỹ − log ŷ.
    """
    logits, teacher_logits, bias = logits_of(problem, t)
    log_y, log_y_hat, log_y_tilde = distributions(logits, teacher_logits, bias, problem.temperature)
    hard, soft, teacher = (np.zeros(len(logits)) for _ in range(3))
    kl = divergence(log_y_tilde, log_y_hat)
    for i in range(len(logits)):
        y_tilde = math.exp(log_y_tilde[i])
        distance = log_y_tilde[i] - log_y_hat[i] if y_tilde > 0 else 0.0
        hard[i] = math.exp(log_y[i]) - (1.0 if i == problem.targets[t] else 0.0)
        soft[i] = problem.gamma * (math.exp(log_y_hat[i]) - y_tilde)
        teacher[i] = 0.0 if detach_target else problem.gamma * y_tilde * (distance - kl)
    return hard, soft, teacher


def gradients(problem: Problem, weights: Array, *, detach_target: bool = False) -> Gradients:
    """Derivatives of Σ_t weights_t · loss_t by every array of the problem, one token and one word at a time."""
    classifier, table = problem.classifier, problem.teacher_table
    d_features, d_classifier = np.zeros_like(problem.features), np.zeros_like(classifier)
    d_table, d_bias = np.zeros_like(table), np.zeros(len(classifier))
    for t in problem.scored:
        hard, soft, teacher = logit_gradients(problem, t, detach_target=detach_target)
        target = problem.targets[t]
        for i in range(len(classifier)):
            d_bias[i] += weights[t] * hard[i]
            d_features[t] += weights[t] * (hard[i] + soft[i]) * classifier[i]
            d_classifier[i] += weights[t] * (hard[i] + soft[i]) * problem.features[t]
            d_table[i] += weights[t] * teacher[i] * table[target]
            d_table[target] += weights[t] * teacher[i] * table[i]
    if problem.centred:
        d_table = d_table - d_table.mean(axis=0)
    tied = problem.table is None
    return Gradients(
        d_features,
        d_classifier + d_table if tied else d_classifier,
        None if tied else d_table,
        None if problem.bias is None else d_bias,
    )
