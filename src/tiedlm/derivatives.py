"""Losses and layers with a backward pass of their own give first derivatives only."""

from __future__ import annotations

import torch

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
