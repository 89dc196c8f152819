"""Masks on stock kernels: one more input column a stream, through which units that are dropped in it are told apart.

A kernel knows no mask, and its weights are the same for all streams. What differs between streams is the input: the
one-hot of the stream, appended to it, picks one of B columns of W_ih that hold a large number for the units dropped in
that stream, in the block of one gate, and so shuts or opens that gate exactly (`layers.lstm_stock`, `gru_stock`).
"""

from __future__ import annotations

import torch
from torch import Tensor


def with_streams(inputs: Tensor) -> Tensor:
    """Append the one-hot of the stream to the input, [T, B, I] to [T, B, I + B]."""
    steps, streams, _ = inputs.shape
    one_hot = torch.eye(streams, dtype=inputs.dtype, device=inputs.device).expand(steps, streams, streams)
    return torch.cat([inputs, one_hot], dim=2)


def with_columns(weight: Tensor, kept: Tensor, block: int, value: float) -> Tensor:
    """Append B columns to an input weight: `value` for units that stream b drops in the rows of a gate, else 0.

    Args:
        weight: W_ih [gates x H, I].
        kept: which units each stream keeps, boolean [B, H].
        block: the gate, counted from 0.
        value: what is added to this gate of a dropped unit.
    """
    streams, units = kept.shape
    columns = weight.new_zeros(len(weight), streams)
    columns[block * units : (block + 1) * units].masked_fill_(~kept.T, value)
    return torch.cat([weight, columns], dim=1)
