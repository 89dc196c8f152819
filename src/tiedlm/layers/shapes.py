"""What every recurrent layer asks of the tensors it is called with: shapes, and the type and device of its weights.

A layer that runs in C++ hands over bare addresses: numbers of another type would be read as if they were the weights'.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError
from tiedlm.layers.precision import type_of_products


def check_layer(inputs: Tensor, state: dict[str, Tensor], mask: Tensor | None, weights: dict[str, Tensor]) -> None:
    """Refuse inputs, state and mask that do not go together with the weights, and weights of different types.

    Args:
        inputs: x, due as [T, B, I] with a step or more; under autocast its type is as good as the weights'.
        state: parts of the state by name, each due as [B, H].
        mask: due as [B, H], or None.
        weights: by name; the last axis of `input` is I, that of `hidden` is H.

    Raises:
        ArgumentError: the first of them that does not fit, with what is due.
    """
    hidden = weights["hidden"]
    carried = {f"state {name}": part for name, part in state.items()} | ({} if mask is None else {"mask": mask})
    _check_shapes(inputs, weights["input"].shape[-1], carried, hidden.shape[-1])
    _check_kind("inputs", inputs, hidden, type_of_products(hidden))
    for name, tensor in (carried | {f"weights {name}": weight for name, weight in weights.items()}).items():
        _check_kind(name, tensor, hidden, hidden.dtype)


def check_gates(weights: dict[str, Tensor], gates: int) -> None:
    """Refuse weights that do not have H rows for each of so many gates, H being the last axis of `hidden`."""
    rows = gates * weights["hidden"].shape[-1]
    for name, weight in weights.items():
        if weight.shape[0] != rows:
            raise ArgumentError(
                f"weights {name} has the shape {list(weight.shape)}, but must have {rows} rows: one for each unit of "
                f"{gates} gates."
            )


def _check_shapes(inputs: Tensor, width: int, carried: dict[str, Tensor], units: int) -> None:
    if inputs.dim() != 3 or inputs.shape[0] < 1 or inputs.shape[2] != width:
        raise ArgumentError(
            f"inputs have the shape {list(inputs.shape)}, but must be [steps, streams, {width}] with at least one step."
        )
    wanted = (inputs.shape[1], units)
    for name, tensor in carried.items():
        if tensor.shape != wanted:
            raise ArgumentError(
                f"{name} has the shape {list(tensor.shape)}, but must be {list(wanted)}: [streams, units]."
            )


def _check_kind(name: str, tensor: Tensor, like: Tensor, also: torch.dtype) -> None:
    """Refuse a tensor on another device, or of a type that is neither that of `like` nor `also`."""
    if tensor.device != like.device or tensor.dtype not in (like.dtype, also):
        raise ArgumentError(
            f"{name} came as {tensor.dtype} on {tensor.device}, but must be {like.dtype} on {like.device}, as the "
            "layer's recurrent weights are: convert it with `.to`. A model that was converted or moved begins with a "
            "new state."
        )
