"""What models that are stacks of layers with one mask a layer share: their masks, and the way through the stack."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import torch
from torch import Tensor, nn

from tiedlm.models.config import GRUConfig, LSTMConfig
from tiedlm.models.contract import State
from tiedlm.models.window import Due


def stack_masks(config: LSTMConfig | GRUConfig) -> list[Due]:
    """Return the masks of the stack: one on x, and one a layer on its output, in time and in depth."""
    layers = [Due(f"layer {layer + 1}", config.units, config.keep_hidden) for layer in range(config.layers)]
    return [Due("the word vectors", config.width, config.keep_input), *layers]


def stack_widths(config: LSTMConfig | GRUConfig) -> Iterable[tuple[int, int]]:
    """Return the widths of what goes into each layer and comes out of it."""
    return pairwise([config.width, *[config.units] * config.layers])


def run_stack(
    layers: nn.ModuleList, inputs: Tensor, state: State, masks: Iterable[Tensor | None]
) -> tuple[Tensor, State]:
    """Run the layers on x [T, B, D] from a state of parts [K, B, H], each layer under its mask.

    A layer takes and returns its part of the state as a tuple of [B, H].
    """
    after = []
    for layer, mask, *before in zip(layers, masks, *state, strict=True):
        inputs, last = layer(inputs, tuple(before), mask)
        after.append(last)
    return inputs, tuple(torch.stack(part) for part in zip(*after, strict=True))
