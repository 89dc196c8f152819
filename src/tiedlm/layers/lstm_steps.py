"""The steps of `layers.lstm_compiled`, run by the loops of `native/loops/lstm.cpp`: buffers, and the two calls."""

from __future__ import annotations

import torch
from torch import Tensor

from tiedlm.layers.compiled_steps import LOOPS, MOST_LANES
from tiedlm.layers.lstm import LSTMState
from tiedlm.layers.lstm_batched import Kept, room
from tiedlm.native.build import call_native


def run_forward(projected: Tensor, state: LSTMState, weight: Tensor, mask: Tensor | None) -> tuple[Kept, Tensor]:
    """Return what is kept, gates in the place of W_ih x + b [T, B, 4H], and the raw h after the window [B, H]."""
    kept, last = room(projected, state, mask, weight.dtype)
    _run("lstm_forward", kept, weight, mask, kept.read, last)
    return kept, last


def run_back(
    arriving: tuple[Tensor, ...], kept: Kept, weight: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of what stands in the nonlinearities [T, B, 4H], and of h and c before the window.

    Args:
        arriving: gradients of the outputs [T, B, H], and of raw h and c after the window.
    """
    of_outputs, of_hidden, of_cell = (gradient.contiguous() for gradient in arriving)
    of_sums, before, of_cell = torch.empty_like(kept.gates), torch.empty_like(of_hidden), of_cell.clone()
    _run("lstm_backward", kept, weight, mask, of_outputs, of_hidden, of_cell, of_sums, before)
    return of_sums, before, of_cell


def _run(name: str, kept: Kept, weight: Tensor, mask: Tensor | None, *further: Tensor) -> None:
    """Call one of the two loops on the window, with room for the packed weights, filled up to whole vectors."""
    steps, streams, units = kept.bounded.shape
    packed = weight.new_empty(4, units + MOST_LANES - 1, units)
    mask = None if mask is None else mask.contiguous()
    window = (kept.gates, mask, kept.cells, kept.bounded, weight.contiguous(), packed, torch.get_num_threads())
    call_native(f"{name}_{LOOPS[weight.dtype]}", steps, streams, units, *window, *further)
