"""Whether the masked LSTM on cuDNN's kernel, and on ours, is the layer that the loop defines: values and gradients."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

import torch
from torch import Tensor

from tiedlm.layers import lstm_triton
from tiedlm.layers.lstm import LSTMWeights, lstm_loop
from tiedlm.layers.lstm_stock import lstm_stock
from tiedlm.layers.variational import draw_mask

UNITS = (200, 650, 1500)
KEEPS = (0.7, 0.35, 1.0)
FORMS = {"stock": lstm_stock, "triton": lstm_triton.lstm_triton}
ALLOWED = {"float64": 1e-10, "float32": 1e-4}
"""Largest error relative to a tensor's largest entry; TensorFloat-32 is told of and has no bound."""
NAMES = ("outputs", "raw h", "c", "d inputs", "d h", "d c", "d W_ih", "d W_hh", "d b")


def checked(device: str, units: tuple[int, ...] = UNITS, steps: int = 35, streams: int = 20) -> list[dict[str, Any]]:
    """Return for each form, type, width and keep probability the largest error, where it is, and whether it may be.

    Args:
        device: where the forms run; the truth is the loop in float64 there.
        units: widths of the layer and of its input.
        steps: T.
        streams: B.

    A form is left out where it does not run.
    """
    found = []
    for width, keep in product(units, KEEPS):
        case = _drawn(width, keep, steps, streams, device)
        truth = everything(lstm_loop, case)
        for form, kind in product(FORMS, ("float64", "float32", "tf32")):
            dtype = torch.float64 if kind == "float64" else torch.float32
            if form == "triton" and lstm_triton.why_not(case[4].to(dtype), streams):
                continue
            with _tf32(kind == "tf32"), warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                own = everything(FORMS[form], [tensor.to(dtype) for tensor in case])
            errors = {name: _error(value, truth[name]) for name, value in own.items()}
            worst = max(errors, key=errors.__getitem__)
            result = {"form": form, "type": kind, "units": width, "keep": keep, "worst": worst, "error": errors[worst]}
            result["holds"] = errors[worst] <= ALLOWED.get(kind, float("inf"))
            found.append(result | {"warnings": sorted({str(one.message).split("\n")[0] for one in said})})
    return found


def _drawn(units: int, keep: float, steps: int, streams: int, device: str) -> list[Tensor]:
    """Return inputs, h, c, three parameters, what arrives at the outputs, and the mask, in float64."""
    draws = torch.Generator().manual_seed(0)
    at_state, at_input, weight = (streams, units), (steps, streams, units), (4 * units, units)
    shapes = [(at_input, 1.0), (at_state, 0.5), (at_state, 0.5), (weight, units**-0.5), (weight, units**-0.5)]
    shapes += [((4 * units,), 0.1), (at_input, 1.0)]
    drawn = [size * torch.randn(shape, generator=draws, dtype=torch.float64) for shape, size in shapes]
    mask = draw_mask(streams, units, keep, draws, dtype=torch.float64)
    return [tensor.to(device) for tensor in [*drawn, mask]]


def everything(layer: Any, case: list[Tensor]) -> dict[str, Tensor]:
    """Return outputs, raw state, and the gradients of a weighted sum of them by all that is differentiable."""
    *leaves, arriving, mask = [tensor.detach() for tensor in case]
    inputs, hidden, cell, *weights = (leaf.requires_grad_() for leaf in leaves)
    outputs, (last, last_cell) = layer(inputs, (hidden, cell), LSTMWeights(*weights), mask)
    total = (outputs * arriving).sum() + (last * arriving[0]).sum() + (last_cell * arriving[-1]).sum()
    results = [outputs, last, last_cell, *torch.autograd.grad(total, leaves)]
    return dict(zip(NAMES, results, strict=True))


def _error(found: Tensor, truth: Tensor) -> float:
    """Return the largest difference relative to the truth's largest entry; infinite where it is no number."""
    error = float((found.detach().double() - truth.detach()).abs().max() / truth.detach().abs().max())
    return error if error == error else float("inf")


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    """Let cuDNN and products use TensorFloat-32, or not; PyTorch lets cuDNN unless it is told."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before
