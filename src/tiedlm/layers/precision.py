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


def has_lstm_kernel(dtype: torch.dtype) -> bool:
    """Return whether PyTorch's LSTM trains on this CPU under autocast to a type; not while `torch.compile` traces."""
    return not torch.compiler.is_compiling() and _lstm_trains_in(dtype)


@functools.cache
def _lstm_trains_in(dtype: torch.dtype) -> bool:
    """Try a step forward and back: some CPUs have one that scores and none that trains (float16, AVX512-FP16)."""
    with torch.inference_mode(False), torch.enable_grad():
        state = torch.zeros(1, 1, 1)
        weights = [torch.zeros(shape, requires_grad=True) for shape in ((4, 1), (4, 1), (4,), (4,))]
        try:
            with torch.autocast("cpu", dtype):
                outputs = torch.lstm(state, [state, state], weights, True, 1, 0.0, True, False, False)[0]
            torch.autograd.grad(outputs.sum(), weights)
        except RuntimeError:
            return False
    return True
