"""Forms of a layer with a backward pass of their own give first derivatives only."""

from __future__ import annotations

import torch

from tiedlm.errors import ArgumentError


def refuse_second_derivative(form: str, instead: str) -> None:
    """To be called by a backward pass whose parts would count as constants if it were differentiated in turn.

    Raises:
        ArgumentError: autograd is recording it.
    """
    if torch.is_grad_enabled():
        raise ArgumentError(
            f"A gradient of the gradient was asked for (create_graph=True), but {form} gives first derivatives only: "
            f"use {instead}."
        )
