"""What the recurrent cells share: one choice of form, one check of arguments, the types that autocast asks for."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError
from tiedlm.native.build import compiler_unavailable

COMPILED_UNITS = 100
"""Units from which steps run in C++: below, a training may end before the compiler's seconds pay."""
NATIVE_TYPES = {torch.float32: "float32", torch.float64: "float64"}
"""Types that the C++ steps take, and how their functions' names end."""
MAX_LANES = 16
"""Entries of the widest vector in C++, 64 bytes of float32; packed weights are padded to whole vectors."""


def select_form(
    cell: Literal["lstm", "gru", "rhn"], device: str, *, masked: bool, units: int
) -> tuple[Literal["stock", "compiled", "batched", "loop"], str]:
    """Return the form in which a layer of `units` H runs, with a mask on h or s or without, and why, in words."""
    if cell != "rhn" and not masked:
        return "stock", "without a mask PyTorch's own kernel computes the layer"
    if cell == "gru":
        return "loop", "on PyTorch's kernel, a mask would cost a second product over all steps"
    other = "stock" if cell == "lstm" else "batched"
    if device != "cpu":
        return other, f"there are no compiled steps for {device}"
    if units < COMPILED_UNITS:
        return other, f"with fewer than {COMPILED_UNITS} units a compiler's seconds may not pay"
    if torch.compiler.is_compiling():
        return other, "torch.compile cannot look into a call of C++"
    reason = compiler_unavailable()
    if reason is not None:
        return other, f"steps cannot be compiled here ({reason})"
    return "compiled", f"a step in C++, its product and its gates in one loop, is faster than in the {other} form"


def check_cell(
    inputs: Tensor,
    state: Mapping[str, Tensor],
    mask: Tensor | None,
    weights: Mapping[str, Tensor],
    shapes: Mapping[str, Sequence[int]],
) -> None:
    """Refuse arguments of a layer that do not go together; the C++ steps read bare addresses.

    Inputs x must be [T, B, I] with T of 1 or more, of the weights' type, or autocast's; every part of the state and the
    mask [B, H]; the weights of the given shapes, where the last axis of `input` is I and that of `hidden` is H. All are
    of the type and on the device of `hidden`.
    """
    for name, weight in weights.items():
        if list(weight.shape) != list(shapes[name]):
            raise ArgumentError(
                f"weights {name} has the shape {list(weight.shape)}, but must be {list(shapes[name])}, as its layer's "
                f"weights hidden has the shape {list(weights['hidden'].shape)}."
            )
    width, hidden = weights["input"].shape[-1], weights["hidden"]
    if inputs.dim() != 3 or inputs.shape[0] < 1 or inputs.shape[2] != width:
        raise ArgumentError(
            f"inputs have the shape {list(inputs.shape)}, but must be [steps, streams, {width}] with at least one step."
        )
    per_stream = {f"state {name}": part for name, part in state.items()} | ({} if mask is None else {"mask": mask})
    for name, tensor in per_stream.items():
        if tensor.shape != (inputs.shape[1], hidden.shape[-1]):
            raise ArgumentError(
                f"{name} has the shape {list(tensor.shape)}, but must be {[inputs.shape[1], hidden.shape[-1]]}: "
                "[streams, units]."
            )
    others = per_stream | {f"weights {name}": weight for name, weight in weights.items()}
    for name, tensor in ({"inputs": inputs} | others).items():
        types = (hidden.dtype, matmul_dtype_of(hidden)) if name == "inputs" else (hidden.dtype,)
        if tensor.device != hidden.device or tensor.dtype not in types:
            raise ArgumentError(
                f"{name} came as {tensor.dtype} on {tensor.device}, but must be {hidden.dtype} on {hidden.device}, as "
                "the layer's recurrent weights are: convert it with `.to`. A model that was converted or moved begins "
                "with a new state."
            )


def check_native(weight: Tensor, instead: str) -> None:
    """Refuse weights that the C++ steps do not take, and name the form that does.

    Raises:
        ArgumentError: they are not on a CPU, or neither float32 nor float64.
    """
    if weight.dtype not in NATIVE_TYPES or weight.device.type != "cpu":
        raise ArgumentError(
            f"The layer's weights are {weight.dtype} on {weight.device}, but compiled steps take "
            f"{' or '.join(map(str, NATIVE_TYPES))} on a CPU: convert the model, or use {instead}."
        )


def matmul_dtype_of(weight: Tensor) -> torch.dtype:
    """Return autocast's type for float32 weights where it is on for their device, else the weights' own."""
    device = weight.device.type
    available = torch.amp.is_autocast_available(device)
    if weight.dtype == torch.float32 and available and torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return weight.dtype


def runs_outside_autocast(weight: Tensor) -> bool:
    """Return whether PyTorch's recurrent kernels run in the weights' type, as the device has none for autocast's.

    On a GPU autocast has them run in float16, whichever type it converts to elsewhere.
    """
    dtype = matmul_dtype_of(weight)
    if dtype == weight.dtype:
        return False
    return not has_lstm_kernel(dtype) if weight.device.type == "cpu" else dtype != torch.float16


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


def flatten_weights(weights: Sequence[Tensor]) -> list[Tensor]:
    """Return the weights as neighbours in one array, in their order: W_ih, W_hh and the two biases.

    PyTorch hands cuDNN weights that lie so as they are; it copies others one by one in every call, and warns of it.
    """
    whole = torch.cat([weight.reshape(-1) for weight in weights])
    pieces = whole.split([weight.numel() for weight in weights])
    return [piece.view(weight.shape) for piece, weight in zip(pieces, weights, strict=True)]
