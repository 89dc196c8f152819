"""One window of training: loss, gradient, clipping, update.

The loss is summed over the steps of the window and averaged over the streams, as in the code that the paper follows;
learning rates near 1 and clipping norms near 5 belong to that scale. The average is taken in the update
(`training.update`): a loss that is differentiated as it is needs no pass over its gradients for a factor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tiedlm.errors import TrainingError
from tiedlm.losses.augmented import linear_augmented_terms
from tiedlm.losses.functional import LossTerms
from tiedlm.native.ranks import SINGLE, Ranks
from tiedlm.nn.dropout import Masks
from tiedlm.nn.model import LanguageModel, State
from tiedlm.runs.config import RunConfig
from tiedlm.training.share import sum_gradients
from tiedlm.training.update import descend


class WindowLoss(NamedTuple):
    """What the passes through one window give, besides the gradients of the loss at the parameters."""

    total: Tensor
    """Loss summed over the words of the window []."""
    cross_entropy: Tensor
    """Cross-entropy summed over them, in nats []."""
    state: State
    """Raw state after the window, without history."""


class StepResult(NamedTuple):
    """What one window gave."""

    loss_sum: float
    """Loss summed over the words of the window, of all ranks."""
    cross_entropy_sum: float
    """Cross-entropy summed over them, in nats."""
    carried: State
    """Raw state after the window, without history."""


Gradients = Callable[[LanguageModel, Tensor, Tensor, State, Masks | None, RunConfig], WindowLoss]
"""Called as `window_gradients`, and does the same."""


def window_gradients(
    model: LanguageModel,
    inputs: Tensor,
    targets: Tensor,
    carried: State,
    masks: Masks | None,
    config: RunConfig,
    *,
    host_sync: bool = True,
) -> WindowLoss:
    """Go forward and back through a window of words [T, B], and leave the gradients of its loss at the parameters.

    With `host_sync` False the CPU waits for no value on the way, as while a CUDA graph is captured.
    """
    model.zero_grad()  # before the passes, so that two windows' gradients are never held at once
    with model.tables.fused_embedding_grad(), _precision(inputs.device.type, config):
        features, state = model(inputs, carried, masks)
        terms = _loss(model, features, targets, config, host_sync)
    terms.total.backward()
    after = tuple(new.detach().to(old.dtype) for new, old in zip(state, carried, strict=True))
    return WindowLoss(terms.total.detach(), terms.cross_entropy, after)


def train_window(
    model: LanguageModel,
    learning_rate: float,
    inputs: Tensor,
    targets: Tensor,
    carried: State,
    masks: Masks | None,
    config: RunConfig,
    ranks: Ranks = SINGLE,
    gradients: Gradients = window_gradients,
) -> StepResult:
    """Take one step of gradient descent on a window of words [T, B], of which each rank has as many streams.

    Raises:
        TrainingError: the loss or the gradient is not finite, on any rank; nothing has been updated then.
    """
    found = gradients(model, inputs, targets, carried, masks, config)
    total, cross_entropy = _sums(found, ranks)
    if not math.isfinite(total):
        raise TrainingError(f"The loss is {total}.")
    streams = inputs.shape[1] * ranks.world_size
    if config.training.weight_decay or not ranks.is_single:
        _make_dense(model)
    sum_gradients(model.parameters(), ranks)
    _add_decay(model.parameters(), config.training.weight_decay * streams)
    _add_decay([model.tables.weight], config.training.table_decay * streams)
    descend(model.parameters(), learning_rate, config.training.clip_norm, 1 / streams)
    return StepResult(total, cross_entropy, found.state)


def _precision(device: str, config: RunConfig) -> torch.autocast:
    """Return where matrix products take the type that the config asks for; the parameters stay float32."""
    return torch.autocast(device, torch.bfloat16, enabled=config.runtime.precision == "bfloat16")


def _loss(model: LanguageModel, features: Tensor, targets: Tensor, config: RunConfig, host_sync: bool) -> LossTerms:
    """Return the loss of the window, summed over its words, and its terms."""
    loss, classifier = config.loss, model.classifier
    uniform = loss.target == "uniform"
    terms = linear_augmented_terms(
        features,
        classifier,
        targets,
        # vectors that are all 0 are all alike, so that each word teaches the uniform distribution
        table=classifier.detach().new_zeros(len(classifier), 1) if uniform else model.tables.loss_table,
        bias=model.bias,
        temperature=loss.temperature or 1.0,
        gamma=loss.gamma,
        detach_target=loss.detach_target or uniform,
        reduction="sum",
        host_sync=host_sync,
    )
    if loss.label_smoothing == 0:
        return terms
    return terms._replace(total=terms.total + loss.label_smoothing * _smoothing(model, classifier, features, targets))


def _smoothing(model: LanguageModel, classifier: Tensor, features: Tensor, targets: Tensor) -> Tensor:
    """Return what a label smoothing of 1 adds to cross-entropy, summed over the window.

    (1 - e) (-log y_w) + e mean_i (-log y_i) = -log y_w + e (z_w - mean_i z_i): the normaliser of y cancels.
    """
    rows = classifier.float()
    difference = F.embedding(targets, rows) - rows.mean(0)
    total = (features.float() * difference).sum()
    if model.bias is not None:
        total = total + (model.bias[targets] - model.bias.mean()).sum()
    return total


def _sums(found: WindowLoss, ranks: Ranks) -> tuple[float, float]:
    """Return loss and cross-entropy of all ranks, told in float64 over what reduces numbers of the CPU."""
    own = torch.stack([found.total, found.cross_entropy]).double().cpu()
    total, cross_entropy = ranks.all_reduce_sum(own)[0].tolist()
    return total, cross_entropy


def _make_dense(model: LanguageModel) -> None:
    """Write sparse gradients out: decay has a part in every row, and other ranks' words have theirs."""
    for parameter in model.parameters():
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = parameter.grad.to_dense()


def _add_decay(parameters: Iterable[Tensor], decay: float) -> None:
    """Add the gradient of decay / 2 times the squared norm of the parameters.

    It is added before the gradient is clipped, which SGD's own `weight_decay` would not do.
    """
    if decay == 0:
        return
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.add_(parameter.detach(), alpha=decay)
