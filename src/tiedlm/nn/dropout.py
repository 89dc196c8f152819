"""Variational dropout: one mask per stream and layer, held for a whole window (Gal & Ghahramani, 2016).

The paper uses it throughout (section 5). A mask holds 0 for a dropped unit and 1/keep for a kept one, so a masked
value has the expectation of the unmasked one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError

Masks = list[Tensor | None]
"""Masks of one window, each [B, width], or None where nothing is dropped."""


class MaskSpec(NamedTuple):
    """One mask that a model takes."""

    name: str
    """What it drops, for messages: `the word vectors`."""
    width: int
    """Its width [B, width]."""
    keep: float
    """Probability to keep a unit; 1 draws no mask."""


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

    Streams and width are 1 or more, keep lies in (0, 1], else an ArgumentError. The generator is on the CPU, so that
    every device sees the same masks.
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


def draw_masks(specs: Sequence[MaskSpec], streams: int, generator: torch.Generator, like: Tensor) -> Masks | None:
    """Return one window's masks on the device and in the type of `like`, or None where nothing is dropped."""
    if all(spec.keep == 1 for spec in specs):
        return None
    return [
        None
        if spec.keep == 1
        else draw_mask(streams, spec.width, spec.keep, generator, device=like.device, dtype=like.dtype)
        for spec in specs
    ]


def check_masks(masks: Masks | None, specs: Sequence[MaskSpec], streams: int) -> Masks:
    """Return one mask, or None, for each spec, after refusing another number of masks or another shape."""
    if masks is None:
        return [None] * len(specs)
    if len(masks) != len(specs):
        raise ArgumentError(
            f"{len(masks)} masks arrived, but {len(specs)} are needed: one on "
            f"{', one on '.join(spec.name for spec in specs)}; or None for no mask at all."
        )
    for spec, mask in zip(specs, masks, strict=True):
        if mask is not None and mask.shape != (streams, spec.width):
            raise ArgumentError(
                f"the mask on {spec.name} has the shape {list(mask.shape)}, but must be {[streams, spec.width]}: "
                "[streams, width]."
            )
    return masks
