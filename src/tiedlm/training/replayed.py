"""The passes through a window on a GPU, replayed from a CUDA graph; elsewhere they stay as they are."""

from __future__ import annotations

import torch
from torch import Tensor

from tiedlm.native.cuda_graph import CudaGraph, Function
from tiedlm.nn.dropout import Masks
from tiedlm.nn.model import LanguageModel, State
from tiedlm.runs.config import RunConfig
from tiedlm.training.step import Gradients, WindowLoss, window_gradients


def picked_gradients(device: torch.device) -> Gradients:
    """Return the passes that a training on the device takes."""
    return ReplayedGradients() if device.type == "cuda" else window_gradients


class ReplayedGradients:
    """`step.window_gradients`, captured at its first call; for one model, config and device.

    A window of another length than the config's, as the first and the last of an epoch, is not replayed: there are too
    few of each length to capture them.
    """

    def __init__(self) -> None:
        self._replayed: CudaGraph | None = None
        self._places: list[Tensor | None] = []

    def __call__(
        self,
        model: LanguageModel,
        inputs: Tensor,
        targets: Tensor,
        carried: State,
        masks: Masks | None,
        config: RunConfig,
    ) -> WindowLoss:
        """Return what the passes give; the gradients are overwritten by the next call."""
        if len(inputs) != config.training.steps:
            return window_gradients(model, inputs, targets, carried, masks, config)
        if self._replayed is None:
            self._replayed = CudaGraph(
                _on_places(model, carried, masks, config), inputs.device, lambda: _gradients(model)
            )
        total, cross_entropy, *state = self._replayed(inputs, targets, *carried, *_drawn(masks))
        if self._replayed.is_graph:
            self._leave_gradients(model)
        return WindowLoss(total, cross_entropy, tuple(state))

    def _leave_gradients(self, model: LanguageModel) -> None:
        """Put the gradients where the graph writes them at the parameters, where other passes have put their own."""
        self._places = self._places or [parameter.grad for parameter in model.parameters()]
        for parameter, place in zip(model.parameters(), self._places, strict=True):
            parameter.grad = place


def _gradients(model: LanguageModel) -> list[Tensor]:
    return [parameter.grad.to_dense() for parameter in model.parameters() if parameter.grad is not None]


def _on_places(model: LanguageModel, carried: State, masks: Masks | None, config: RunConfig) -> Function:
    """Return the passes as a function of tensors alone: words, targets, the state's parts, the masks that there are."""
    parts = len(carried)

    def passes(inputs: Tensor, targets: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        drawn = iter(others[parts:])
        own = masks and [None if mask is None else next(drawn) for mask in masks]
        found = window_gradients(model, inputs, targets, others[:parts], own, config, host_sync=False)
        return (found.total, found.cross_entropy, *found.state)

    return passes


def _drawn(masks: Masks | None) -> list[Tensor]:
    return [mask for mask in masks or [] if mask is not None]
