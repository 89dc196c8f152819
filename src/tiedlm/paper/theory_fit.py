"""The end of a run of the theory experiment: the classifier alone, brought to the optimum of equation 6.1.

With features and word vectors at rest, J_tot is convex in the classifier W and its bias b, and it is of this optimum
that the theory speaks. Gradient descent comes to it slowly: the variance of the features differs ten-thousandfold
between directions, and so does its speed. Here every direction is given the variance 1,

    x_t = B' h_t with B = Q diag(e)^(-1/2), where 1/N sum_t h_t h_t' = Q diag(e) Q'

and the classifier of x_t, which is W B^-T, is found by L-BFGS on the whole stretch at once. In float64, since the
augmented term may come to 1e-8 nats, before the factor tau^2 V.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from tiedlm.nn.model import LanguageModel
from tiedlm.paper.theory_model import bias_of, features_by_window
from tiedlm.paper.theory_setting import TheoryConfig
from tiedlm.paper.theory_stretch import Stretch
from tiedlm.theory.objective import TheoryLoss, theory_loss

CHUNK = 1000
"""Words whose scores are held at once."""
LEAST_VARIANCE = 1e-13
"""Of a direction, as a share of the largest: what lies below is float32's rounding."""
LEAST_CHANGE = 1e-11
"""Nats of J_tot a word; where a step changes less, the optimum counts as found."""


class Fitted(NamedTuple):
    """A classifier at the optimum, and means over the words of the stretch."""

    classifier: Tensor
    """W [V, D], float64."""
    bias: Tensor
    """b [V], float64."""
    cross_entropy: float
    """J in nats."""
    divergence: float
    """J_aug in nats, not multiplied by anything."""
    feature_norm_squared: float
    """|h|^2."""


def fit_classifier(model: LanguageModel, stretch: Stretch, config: TheoryConfig) -> Fitted:
    """Return the classifier at its optimum for the features and word vectors of a model, which stays as it is."""
    features, targets = features_of(model, stretch, config)
    basis, inverse = basis_of_variance_1(features)
    classifier = (model.classifier.detach().double() @ inverse.T).requires_grad_()
    problem = _Problem(features @ basis, targets, model.table.detach().double(), config)
    bias = bias_of(model).detach().double().requires_grad_()
    _minimise(problem, classifier, bias)
    with torch.no_grad():
        losses = list(problem.losses(classifier, bias))
    return Fitted(
        classifier=classifier.detach() @ basis.T,
        bias=bias.detach(),
        cross_entropy=sum(float(loss.cross_entropy) for loss in losses) / len(targets),
        divergence=sum(float(loss.divergence) for loss in losses) / len(targets),
        feature_norm_squared=float(features.square().sum(dim=1).mean()),
    )


@torch.no_grad()
def features_of(model: LanguageModel, stretch: Stretch, config: TheoryConfig) -> tuple[Tensor, Tensor]:
    """Return h [N, D] in float64 and the target ids [N] of every word, the state carried as in an epoch."""
    windows = list(features_by_window(model, stretch, config))
    return torch.cat([features.double() for features, _ in windows]), torch.cat([targets for _, targets in windows])


def basis_of_variance_1(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return B [D, D] and B^-1, with which the columns of h B [N, D] are uncorrelated and of mean square 1."""
    values, vectors = torch.linalg.eigh(features.T @ features / len(features))
    sizes = values.clamp_min(LEAST_VARIANCE * values[-1]).sqrt()
    return vectors / sizes, (vectors * sizes).T


class _Problem(NamedTuple):
    """What is minimised over classifier and bias."""

    features: Tensor
    """x [N, D]."""
    targets: Tensor
    """Word ids [N]."""
    table: Tensor
    """L [V, D]."""
    config: TheoryConfig

    def losses(self, classifier: Tensor, bias: Tensor) -> Iterator[TheoryLoss]:
        """Yield the loss of one chunk of words after the other."""
        tau, beta = self.config.temperature, self.config.beta
        for features, targets in zip(self.features.split(CHUNK), self.targets.split(CHUNK), strict=True):
            yield theory_loss(features, classifier, targets, table=self.table, bias=bias, temperature=tau, beta=beta)


def _minimise(problem: _Problem, classifier: Tensor, bias: Tensor) -> None:
    """Bring classifier and bias to the least mean loss, in place."""
    most = problem.config.fit_evaluations
    optimizer = torch.optim.LBFGS(
        [classifier, bias],
        max_iter=most,
        max_eval=most,
        tolerance_grad=0.0,
        tolerance_change=LEAST_CHANGE,
        line_search_fn="strong_wolfe",
    )

    def mean_loss() -> float:
        optimizer.zero_grad()
        total = 0.0
        for loss in problem.losses(classifier, bias):
            mean = loss.total / len(problem.targets)
            mean.backward()
            total += float(mean.detach())
        return total

    optimizer.step(mean_loss)
