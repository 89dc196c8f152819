"""One window of training: forward and backward, the sum over processes, and a clipped step of gradient descent.

The loss is summed over the steps of the window and averaged over the streams, as in the code that the paper follows;
learning rates near 1 and clipping norms near 5 belong to that scale. The average is taken in the step, so no pass over
the gradients is spent on a factor. On a GPU, forward and backward are replayed from a CUDA graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tiedlm.errors import TrainingError
from tiedlm.losses.augmented import linear_augmented_terms
from tiedlm.native.ranks import SINGLE, Ranks
from tiedlm.nn.dropout import Masks
from tiedlm.nn.model import LanguageModel, State
from tiedlm.runs.config import RunConfig
from tiedlm.training.processes import sum_gradients

if TYPE_CHECKING:
    from tiedlm.native.cuda_graph import CudaGraph, Function


class WindowResult(NamedTuple):
    """What forward and backward through one window give, besides the gradients at the parameters."""

    loss_sum: Tensor
    """Loss summed over the words of the window []."""
    cross_entropy_sum: Tensor
    """Cross-entropy summed over them, in nats []."""
    state: State
    """Raw state after the window, without history."""


class StepResult(NamedTuple):
    """What one step gives: the sums of `WindowResult` over all ranks, and this rank's state."""

    loss_sum: float
    cross_entropy_sum: float
    state: State


ForwardBackward = Callable[[LanguageModel, Tensor, Tensor, State, Masks | None, RunConfig], WindowResult]


def forward_backward(
    model: LanguageModel,
    inputs: Tensor,
    targets: Tensor,
    state: State,
    masks: Masks | None,
    config: RunConfig,
    *,
    host_sync: bool = True,
) -> WindowResult:
    """Go forward and back through a window of words [T, B], and leave the gradients of its loss at the parameters.

    With `host_sync` False the CPU waits for no value on the way, as while a CUDA graph is captured.
    """
    model.zero_grad()  # before the passes, so that two windows' gradients are never held at once
    loss, is_uniform = config.loss, config.loss.target == "uniform"
    bfloat16 = torch.autocast(inputs.device.type, torch.bfloat16, enabled=config.runtime.precision == "bfloat16")
    with model.tables.fused_embedding_grad(), bfloat16:
        features, new_state = model(inputs, state, masks)
        classifier = model.classifier
        total, cross_entropy, _ = linear_augmented_terms(
            features,
            classifier,
            targets,
            # vectors that are all 0 are all alike, so that each word teaches the uniform distribution
            table=classifier.detach().new_zeros(len(classifier), 1) if is_uniform else model.tables.loss_table,
            bias=model.bias,
            temperature=loss.temperature or 1.0,
            gamma=loss.gamma,
            detach_target=loss.detach_target or is_uniform,
            reduction="sum",
            host_sync=host_sync,
        )
        if loss.label_smoothing:
            total = total + loss.label_smoothing * _smoothing(model, classifier, features, targets)
    total.backward()
    new_state = tuple(new.detach().to(old.dtype) for new, old in zip(new_state, state, strict=True))
    return WindowResult(total.detach(), cross_entropy, new_state)


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


class GraphedForwardBackward:
    """`forward_backward`, captured as a CUDA graph at its first call; for one model, config and device.

    A window of another length than the config's, as the first and the last of an epoch, is not replayed: there are too
    few of each length to capture them.
    """

    def __init__(self) -> None:
        self._graph: CudaGraph | None = None
        self._gradients: list[Tensor | None] = []

    def __call__(
        self,
        model: LanguageModel,
        inputs: Tensor,
        targets: Tensor,
        state: State,
        masks: Masks | None,
        config: RunConfig,
    ) -> WindowResult:
        """Return what `forward_backward` does; the gradients are overwritten by the next call."""
        if len(inputs) != config.training.steps:
            return forward_backward(model, inputs, targets, state, masks, config)
        parameters = list(model.parameters())
        if self._graph is None:
            from tiedlm.native.cuda_graph import CudaGraph  # here, since a CPU needs none

            self._graph = CudaGraph(
                _of_tensors_alone(model, len(state), masks, config),
                inputs.device,
                lambda: [parameter.grad.to_dense() for parameter in parameters if parameter.grad is not None],
            )
        drawn = [mask for mask in masks or [] if mask is not None]
        loss_sum, cross_entropy_sum, *new_state = self._graph(inputs, targets, *state, *drawn)
        if self._graph.is_graph:
            # back where the graph writes them: windows of other lengths have put gradients of their own there
            self._gradients = self._gradients or [parameter.grad for parameter in parameters]
            for parameter, gradient in zip(parameters, self._gradients, strict=True):
                parameter.grad = gradient
        return WindowResult(loss_sum, cross_entropy_sum, tuple(new_state))


def _of_tensors_alone(model: LanguageModel, state_parts: int, masks: Masks | None, config: RunConfig) -> Function:
    """Return `forward_backward` as a function of words, targets, the state's parts and the masks that there are."""

    def passes(inputs: Tensor, targets: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        drawn = iter(others[state_parts:])
        new_masks = masks and [None if mask is None else next(drawn) for mask in masks]
        result = forward_backward(model, inputs, targets, others[:state_parts], new_masks, config, host_sync=False)
        return (result.loss_sum, result.cross_entropy_sum, *result.state)

    return passes


def training_step(
    model: LanguageModel,
    learning_rate: float,
    inputs: Tensor,
    targets: Tensor,
    state: State,
    masks: Masks | None,
    config: RunConfig,
    ranks: Ranks = SINGLE,
    passes: ForwardBackward = forward_backward,
) -> StepResult:
    """Take one step of gradient descent on a window of words [T, B], of which each rank has as many streams.

    Raises:
        TrainingError: the loss or the gradient is not finite, on any rank; nothing has been updated then.
    """
    result = passes(model, inputs, targets, state, masks, config)
    sums = torch.stack([result.loss_sum, result.cross_entropy_sum]).double().cpu()
    loss_sum, cross_entropy_sum = ranks.all_reduce_sum(sums)[0].tolist()
    if not math.isfinite(loss_sum):
        raise TrainingError(f"The loss is {loss_sum}.")
    training, streams, parameters = config.training, inputs.shape[1] * ranks.world_size, list(model.parameters())
    if training.weight_decay or not ranks.is_single:  # decay concerns every row, and other ranks' words have theirs
        for parameter in parameters:
            if parameter.grad is not None and parameter.grad.is_sparse:
                parameter.grad = parameter.grad.to_dense()
    sum_gradients(parameters, ranks)
    # before the gradient is clipped, where SGD's own `weight_decay` would come after
    for decayed, decay in ((parameters, training.weight_decay), ([model.tables.weight], training.table_decay)):
        for parameter in decayed if decay else ():
            if parameter.grad is not None:
                parameter.grad.add_(parameter.detach(), alpha=decay * streams)
    clipped_sgd_step(parameters, learning_rate, training.clip_norm, 1 / streams)
    return StepResult(loss_sum, cross_entropy_sum, result.state)


@torch.no_grad()
def clipped_sgd_step(parameters: Iterable[Tensor], learning_rate: float, clip_norm: float, scale: float = 1.0) -> None:
    """Move the parameters that have a gradient; the gradients stay as they are.

        p := p - r s c g,    c = min(1, C / (|s g| + 1e-6))

    This is `torch.nn.utils.clip_grad_norm_` followed by `torch.optim.SGD`, up to rounding. Those write the clipped
    gradient down and read it again; here the clipping is part of the step's length.

    Args:
        parameters: p, whose `grad` is g, dense or sparse.
        learning_rate: r.
        clip_norm: C, above 0; the norm is that of all gradients together.
        scale: s, such as 1/B for gradients that were summed over B streams and are meant to be averaged.

    Raises:
        TrainingError: the norm is not finite; nothing has been moved then.
    """
    pairs = [(parameter, parameter.grad) for parameter in parameters if parameter.grad is not None]
    values = [gradient.coalesce().values() if gradient.is_sparse else gradient for _, gradient in pairs]
    norm = scale * float(torch.nn.utils.get_total_norm(values))
    if not math.isfinite(norm):
        raise TrainingError(f"The norm of the gradient is {norm}.")
    length = learning_rate * scale * min(1.0, clip_norm / (norm + 1e-6))
    for parameter, gradient in pairs:
        parameter.add_(gradient, alpha=-length)
