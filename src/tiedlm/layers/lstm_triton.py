"""The masked LSTM layer with its steps in one kernel of a GPU: signature and values of `layers.lstm.lstm_loop`.

A stock kernel is launched for every step of a window, and waits longer for that than it works. The steps here are one
launch (`lstm_kernels`), whose programs share the units and wait for each other between the steps; the rest is
`lstm_batched`. Under autocast the product with W_hh takes its type too, and so do the outputs, which are rounded to it;
else it takes TensorFloat-32 where PyTorch's recurrent kernels would.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError
from tiedlm.layers import lstm_kernels
from tiedlm.layers.lstm import LSTMState, LSTMWeights, check_lstm
from tiedlm.layers.lstm_batched import Kept, Steps, room, run_layer
from tiedlm.layers.precision import type_of_products
from tiedlm.native.triton_runs import interpreted, missing_triton, power_of_two

UNITS = 16
"""Units of one program."""
MOST_UNITS = 1024
"""H at most: 64 programs, which a large GPU holds at once beside those of other processes."""
MOST_STREAMS = 64
MOST_GATES = 2**31 - 1
"""That a kernel counts in 32 bits."""
LEAST = 16
"""Rows and columns of the smallest product."""
INNER_BYTES = 512
"""Of a row of a product's factor at one time, in the forward pass; twice as many in the backward pass."""
WARPS = 8


def lstm_triton(
    inputs: Tensor, state: LSTMState, weights: LSTMWeights, mask: Tensor | None
) -> tuple[Tensor, LSTMState]:
    """Run one layer over a window on a GPU; arguments, results and errors as for `lstm_loop`.

    Raises:
        ArgumentError: besides, for what `why_not` tells, and for a gradient of the gradient.
    """
    check_lstm(inputs, state, weights, mask)
    reason = why_not(weights.hidden, inputs.shape[1], len(inputs))
    if reason is not None:
        raise ArgumentError(f"The layer cannot run in one kernel of a GPU: {reason}. Use lstm_stock.")
    return run_layer(STEPS, inputs, state, weights, mask)


def why_not(weight: Tensor, streams: int, steps: int = 1) -> str | None:
    """Return why a layer with this W_hh does not run so for a window of this size, in words, or None where it does."""
    missing, units = missing_triton(weight.device.type), weight.shape[1]
    if missing is not None:
        return missing
    if weight.dtype != torch.float32:
        return f"its weights are {weight.dtype}, and must be torch.float32"
    if units > MOST_UNITS:
        return f"it has {units:,} units, and may have {MOST_UNITS:,} at most"
    if streams > MOST_STREAMS:
        return f"it has {streams:,} streams, and may have {MOST_STREAMS} at most"
    if 4 * steps * streams * units > MOST_GATES:
        return f"a window of {steps:,} steps has more than {MOST_GATES:,} gates"
    there = torch.cuda.get_device_properties(weight.device).multi_processor_count if weight.is_cuda else MOST_UNITS
    needed = -(-units // UNITS)
    return f"it needs {needed} multiprocessors at once, and the GPU has {there}" if needed > there else None


def run_forward(projected: Tensor, state: LSTMState, weight: Tensor, mask: Tensor | None) -> tuple[Kept, Tensor]:
    """Return what is kept, gates in the place of W_ih x + b [T, B, 4H], and the raw h after the window [B, H]."""
    weight = weight.to(type_of_products(weight))
    kept, last = room(projected, state, mask, weight.dtype)
    _launch(lstm_kernels.lstm_forward, kept, INNER_BYTES, *kept, last, weight.contiguous(), _whole(mask))
    return kept, last


def run_back(
    arriving: tuple[Tensor, ...], kept: Kept, weight: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of what stands in the nonlinearities [T, B, 4H], and of h and c before the window.

    Args:
        arriving: gradients of the outputs [T, B, H], and of raw h and c after the window.
    """
    of_outputs, of_hidden, of_cell = (gradient.contiguous() for gradient in arriving)
    weight = weight.to(kept.read.dtype).contiguous()
    of_sums, before = torch.empty_like(kept.gates, dtype=weight.dtype), torch.empty_like(of_hidden)
    of_cell = of_cell.clone()
    gradients = (of_outputs, of_hidden, of_cell, of_sums, before)
    _launch(lstm_kernels.lstm_backward, kept, 2 * INNER_BYTES, *kept[:3], weight, _whole(mask), *gradients)
    return of_sums, before, of_cell


STEPS = Steps(run_forward, run_back, "lstm_triton")


def _whole(array: Tensor | None) -> Tensor | None:
    return None if array is None else array.contiguous()


def _launch(kernel: Callable[..., Any], kept: Kept, inner_bytes: int, *arguments: Tensor | None) -> None:
    """Run one program for each of the units' shares, all at the same time; interpreted, one for all."""
    steps, streams, units = kept.bounded.shape
    at_once = {"num_warps": WARPS, "num_stages": 1, "launch_cooperative_grid": True} if not interpreted() else {}
    own = UNITS if at_once else max(power_of_two(units), LEAST)
    sizes = {"ROWS": max(power_of_two(streams), LEAST), "UNITS": own, "INNER": inner_bytes // kept.read.itemsize}
    stock: Any = torch.backends.cudnn.rnn
    precision = "tf32" if stock.fp32_precision == "tf32" else "ieee"
    if precision == "ieee" and kept.read.itemsize == 4:
        sizes["INNER"] //= 2  # such products are made in registers
    programs = -(-units // own)
    counter = kept.bounded.new_zeros(1, dtype=torch.int32)
    with torch.cuda.device_of(kept.read):
        launched: Any = kernel
        launched[(programs,)](
            *arguments, counter, steps, streams, units, **sizes, PROGRAMS=programs, PRECISION=precision, **at_once
        )
