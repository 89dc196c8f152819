"""Weights as a GPU's kernel of recurrent layers reads them: in one piece of memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def one_after_another(weights: Sequence[Tensor]) -> list[Tensor]:
    """Return the weights as neighbours in one array, in their order: W_ih, W_hh and the two biases.

    PyTorch hands cuDNN's kernel weights that lie so as they are; it copies others one by one in every call, and warns
    of it.
    """
    whole = torch.cat([weight.reshape(-1) for weight in weights])
    pieces = whole.split([weight.numel() for weight in weights])
    return [piece.view(weight.shape) for piece, weight in zip(pieces, weights, strict=True)]
