"""Losses and layers with a backward pass of their own give first derivatives in reverse mode only."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

from tiedlm.errors import ArgumentError


def refuse_double_backward(by: str, instead: str) -> None:
    """Raise where autograd records the backward pass, as it does with create_graph=True: its parts would be constants.

    Args:
        by: what refuses, such as "the loss gives".
        instead: what to use for it.

    Raises:
        ArgumentError: autograd is recording.
    """
    if torch.is_grad_enabled():
        raise ArgumentError(
            f"A gradient of the gradient was asked for (create_graph=True), but {by} first derivatives only: use "
            f"{instead}."
        )


def refuse_transforms(by: str, instead: str, *tensors: Tensor | None) -> None:
    """Raise within a transform of torch.func, or for a tensor with a tangent, whose derivative would be lost as 0.

    Args:
        by: what refuses, such as "the loss gives".
        instead: what to use for it.
        tensors: the arguments that may have a tangent (`torch.autograd.forward_ad`).

    Raises:
        ArgumentError: a transform is active, or a tensor has a tangent.
    """
    if in_transform() or any(forward_ad.unpack_dual(one).tangent is not None for one in tensors if one is not None):
        raise ArgumentError(
            f"Forward mode or a transform of torch.func (grad, jvp, jacrev, vmap ...) was asked for, but {by} "
            f"derivatives by backward() and torch.autograd.grad only: use {instead}."
        )


def in_transform() -> bool:
    """Return whether a transform of torch.func is active; `torch.compile` can trace the question."""
    return torch._C._are_functorch_transforms_active()
