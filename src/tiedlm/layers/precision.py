"""Which type goes into the products of a layer that autocast does not convert, or cannot."""

from __future__ import annotations

import functools

import torch
from torch import Tensor


def type_of_products(weight: Tensor) -> torch.dtype:
    """Return autocast's type for float32 weights where it is on for their device, else the weights' own."""
    kind = weight.device.type
    available = torch.amp.is_autocast_available(kind)
    if weight.dtype == torch.float32 and available and torch.is_autocast_enabled(kind):
        return torch.get_autocast_dtype(kind)
    return weight.dtype


def recurrent_kernel_runs_in(dtype: torch.dtype, device: str) -> bool:
    """Return whether PyTorch's LSTM and GRU run in a type that autocast asks for on a type of device.

    On a GPU autocast has them run in float16, whichever type it converts to elsewhere.
    """
    return has_lstm_kernel(dtype) if device == "cpu" else dtype == torch.float16


def leaves_autocast(weight: Tensor) -> bool:
    """Return whether a recurrent kernel runs in its weights' type, since their device has none for autocast's."""
    wanted = type_of_products(weight)
    return wanted != weight.dtype and not recurrent_kernel_runs_in(wanted, weight.device.type)


@functools.cache
def has_lstm_kernel(dtype: torch.dtype) -> bool:
    """Return whether PyTorch's LSTM runs on this CPU under autocast to a type; for bfloat16 not every CPU's does.

    It is tried, once, since nothing public tells.
    """
    state, gates = torch.zeros(1, 1, 1), torch.zeros(4, 1)
    parameters = [gates, gates, gates[:, 0], gates[:, 0]]
    try:
        with torch.no_grad(), torch.autocast("cpu", dtype):
            torch.lstm(state, [state, state], parameters, True, 1, 0.0, False, False, False)
    except RuntimeError:
        return False
    return True
