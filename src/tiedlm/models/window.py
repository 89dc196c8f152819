"""What a model is called with for one window, drawn and checked: word ids, carried state, masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError
from tiedlm.layers.variational import draw_mask
from tiedlm.models.contract import Masks, State


class Due(NamedTuple):
    """One mask that a model takes."""

    name: str
    """What it drops, for messages: `the word vectors`."""
    width: int
    """Its width [B, width]."""
    keep: float
    """Probability to keep; 1 draws no mask."""


def draw_masks(due: Sequence[Due], streams: int, generator: torch.Generator, like: Tensor) -> Masks | None:
    """Return the masks of one window on the device and in the type of `like`, or None where nothing is dropped."""
    if all(one.keep == 1 for one in due):
        return None
    place = {"device": like.device, "dtype": like.dtype}
    return [
        None if one.keep == 1 else draw_mask(streams, one.width, one.keep, generator, **place)  # pyright: ignore[reportArgumentType]
        for one in due
    ]


def check_tokens(tokens: Tensor) -> None:
    """Refuse what are no word ids [T, B]."""
    if tokens.dim() != 2 or tokens.dtype not in (torch.int64, torch.int32):
        raise ArgumentError(
            f"tokens are {tokens.dtype} {list(tokens.shape)}, but must be word ids [steps, streams], torch.int64."
        )


def check_state(state: State, parts: Sequence[str], layers: int, streams: int, units: int) -> None:
    """Refuse a state that is not of [K, B, H] for every part, which are named for the message."""
    wanted = [layers, streams, units]
    if [list(part.shape) for part in state] != [wanted] * len(parts):
        raise ArgumentError(
            f"the state holds the shapes {[list(part.shape) for part in state]}, but must be {' and '.join(parts)} of "
            f"{wanted} each: [layers, streams, units]. Start from initial_state(streams)."
        )


def check_masks(masks: Masks | None, due: Sequence[Due], streams: int) -> Masks:
    """Return one mask, or None, for each that is due, after refusing others in number or shape."""
    if masks is None:
        return [None] * len(due)
    if len(masks) != len(due):
        raise ArgumentError(
            f"{len(masks)} masks arrived, but {len(due)} are due: one on {', one on '.join(one.name for one in due)}; "
            "or None for no mask at all."
        )
    for one, mask in zip(due, masks, strict=True):
        if mask is not None and mask.shape != (streams, one.width):
            raise ArgumentError(
                f"the mask on {one.name} has the shape {list(mask.shape)}, but must be {[streams, one.width]}: "
                "[streams, width]."
            )
    return masks
