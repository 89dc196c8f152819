"""Variational dropout: one mask per stream and layer, held for a whole window (Gal & Ghahramani, 2016).

The paper uses it throughout (section 5).

A mask holds 0 for a dropped unit and 1/keep for a kept one, so a masked value has the expectation of the bare one.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError


def draw_mask(
    streams: int,
    width: int,
    keep: float,
    generator: torch.Generator,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return a mask of independent draws: 1/keep with probability keep, else 0 [B, width].

    Args:
        streams: B, 1 or more.
        width: units that are masked, 1 or more.
        keep: probability to keep a unit, in (0, 1].
        generator: source of the draws, on the CPU, so that every device sees the same masks.

    Raises:
        ArgumentError: a size or probability outside its range.
    """
    if not 0 < keep <= 1:
        raise ArgumentError(
            f"keep is {keep}, but must lie in (0, 1]: it is the probability to keep a unit, not to drop it."
        )
    if streams < 1 or width < 1:
        raise ArgumentError(f"a mask of {streams} streams x {width} units was asked for; both must be 1 or more.")
    draws = torch.rand(streams, width, generator=generator)
    return (draws < keep).to(dtype).div_(keep).to(device)


def apply_mask(values: Tensor, mask: Tensor | None) -> Tensor:
    """Return values [..., B, width] times the mask [B, width]; without a mask the values themselves."""
    return values if mask is None else values * mask
