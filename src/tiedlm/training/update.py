"""The update of plain gradient descent with a clipped gradient, in two passes over it: one measures, one moves.

    p := p - r s c g,    c = min(1, C / (|s g| + 1e-6))

with r the learning rate, C the clipping norm, g the gradients that the parameters hold and s a factor on all of them.
This is `torch.nn.utils.clip_grad_norm_` followed by `torch.optim.SGD`, up to rounding. Those write the clipped gradient
down and read it again; here the clipping is part of the step's length.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from tiedlm.errors import TrainingError


@torch.no_grad()
def descend(parameters: Iterable[Tensor], learning_rate: float, clip_norm: float, factor: float = 1.0) -> None:
    """Move the parameters that have a gradient; the gradients stay as they are.

    Args:
        parameters: p, whose `grad` is g, dense or sparse.
        learning_rate: r.
        clip_norm: C, above 0; the norm is that of all gradients together.
        factor: s, such as 1/B for gradients that were summed over B streams and are meant to be averaged.

    Raises:
        TrainingError: the norm is not finite; nothing has been moved then.
    """
    moving = [(parameter, parameter.grad) for parameter in parameters if parameter.grad is not None]
    norm = factor * float(torch.nn.utils.get_total_norm([_entries(gradient) for _, gradient in moving]))
    if not math.isfinite(norm):
        raise TrainingError(f"The norm of the gradient is {norm}.")
    length = learning_rate * factor * min(1.0, clip_norm / (norm + 1e-6))
    for parameter, gradient in moving:
        parameter.add_(gradient, alpha=-length)


def _entries(gradient: Tensor) -> Tensor:
    """Return what is not 0 for sure."""
    return gradient.coalesce().values() if gradient.is_sparse else gradient
