"""The chunked loss as one operator of PyTorch: what `torch.compile` and autograd see of it.

For a compiler the operator is a single node: what depends on values (which rows count, how many distinct targets)
breaks no graph. The gradients are computed with the loss for the reductions "mean" and "sum"; for "none" the chunks are
computed once more in the backward pass. Other kinds of derivative are refused, as they would count as constants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, get_type_hints

import torch
from torch import Tensor

from tiedlm.errors import refuse_double_backward, refuse_transforms
from tiedlm.losses.chunked import Grads, LossInputs, loss_and_grads, recompute_grads

DIFFERENTIABLE = ("features", "classifier", "table", "bias")
"""The arguments that may have a gradient, in the order of `needs_grad`."""
_SCHEMA_TYPES: dict[Any, str] = {
    Tensor: "Tensor",
    Tensor | None: "Tensor?",
    float: "float",
    int: "int",
    bool: "bool",
    str: "str",
    torch.dtype: "ScalarType",
    Sequence[bool]: "bool[]",
}
_HINTS = {name: hint for name, hint in get_type_hints(LossInputs).items() if name in LossInputs._fields}
_ARGUMENTS = ", ".join(f"{_SCHEMA_TYPES[hint]} {name}" for name, hint in _HINTS.items())
_TENSORS = [name for name, hint in _HINTS.items() if "Tensor" in _SCHEMA_TYPES[hint]]


def _augmented_loss(*arguments: Any) -> tuple[Tensor, ...]:
    """Return total, cross-entropy and divergence, reduced, and the gradients of the total; empty if not needed now."""
    inputs = LossInputs(*arguments)
    terms, grads = loss_and_grads(inputs)
    return (*terms, *_filled(grads, inputs))


@torch.no_grad()  # as it has no derivative of its own
def _augmented_loss_backward(*arguments: Any) -> tuple[Tensor, ...]:
    """Return the gradients for a factor of every target's loss [N], or of the reduced one []."""
    inputs = LossInputs(*arguments[:-1])
    return _filled(recompute_grads(inputs, arguments[-1]), inputs)


def _filled(grads: Grads, inputs: LossInputs) -> tuple[Tensor, ...]:
    """Return the gradients with an empty tensor for each that is missing, as an operator must return tensors."""
    return tuple(inputs.features.new_empty(0) if grad is None else grad for grad in grads)


def _augmented_loss_fake(*arguments: Any) -> tuple[Tensor, ...]:
    inputs = LossInputs(*arguments)
    shape = inputs.targets.shape if inputs.reduction == "none" else ()
    terms = [inputs.features.new_empty(shape, dtype=inputs.accum_dtype) for _ in range(3)]
    return (*terms, *_shaped(inputs, now=inputs.reduction != "none"))


def _augmented_loss_backward_fake(*arguments: Any) -> tuple[Tensor, ...]:
    return _shaped(LossInputs(*arguments[:-1]), now=True)


def _shaped(inputs: LossInputs, *, now: bool) -> tuple[Tensor, ...]:
    """Return tensors of the shapes and types that `_filled` gives; like those, all are contiguous."""
    return tuple(
        like.new_empty(like.shape, dtype=inputs.grad_dtype)
        if like is not None and need and now
        else inputs.features.new_empty(0)
        for like, need in zip((getattr(inputs, name) for name in DIFFERENTIABLE), inputs.needs_grad, strict=True)
    )


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    save_inputs(ctx, LossInputs(*inputs))
    ctx.grads = None if ctx.inputs.reduction == "none" else [grad.detach() for grad in output[3:]]


def _backward(ctx: Any, grad: Tensor | None, *_: Tensor | None) -> tuple[Tensor | None, ...]:
    refuse_double_backward("implementations 'chunked' and 'compiled' give", "'functional'")
    refuse_transforms("this loss gives", "implementation 'functional'")
    if grad is None:
        return (None,) * len(LossInputs._fields)
    if ctx.grads is None:  # of "none", and in the second backward pass of a graph
        grads: Sequence[Tensor] = augmented_loss_backward(*saved_inputs(ctx), grad)
    else:
        grads = _scaled(ctx.grads, grad)
    ctx.grads = None
    return grads_by_argument(ctx, grads)


def save_inputs(ctx: Any, inputs: LossInputs) -> None:
    """Keep the inputs for the backward pass, tensors as autograd keeps them."""
    ctx.save_for_backward(*(getattr(inputs, name) for name in _TENSORS))
    ctx.inputs, ctx.dtype = inputs._replace(**dict.fromkeys(_TENSORS)), inputs.classifier.dtype


def saved_inputs(ctx: Any) -> LossInputs:
    """Return the inputs that `save_inputs` kept."""
    return ctx.inputs._replace(**dict(zip(_TENSORS, ctx.saved_tensors, strict=True)))


def grads_by_argument(ctx: Any, grads: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """Return the gradients in the tables' type, in the order of the fields of `LossInputs`; None for all others."""
    needed = {
        name: grad.to(ctx.dtype)
        for name, grad, need in zip(DIFFERENTIABLE, grads, ctx.inputs.needs_grad, strict=True)
        if need and grad is not None
    }
    return tuple(needed.get(name) for name in LossInputs._fields)


def _scaled(grads: Sequence[Tensor], grad: Tensor) -> Sequence[Tensor]:
    """Return the gradients times the one that arrives. They are given away: a new table for each call is expensive.

    A loss that is differentiated itself brings 1; asking costs nothing on a CPU, and a wait on other devices.
    """
    traced = torch.compiler.is_compiling() or type(grad) is not Tensor
    batched = torch._C._functorch.is_legacy_batchedtensor  # pyright: ignore[reportAttributeAccessIssue]
    if traced or batched(grad):  # as is_grads_batched=True has it
        return [own * grad.to(own.dtype) for own in grads]
    if grad.device.type == "cpu" and float(grad) == 1:
        return grads
    return [own.mul_(grad.to(own.dtype)) for own in grads]


def _register(name: str, schema: str, function: Callable[..., Any], fake: Callable[..., Any]) -> torch._ops.OpOverload:
    """Define an operator for every device.

    `torch.library.custom_op` would do, but its first call imports `torch._dynamo`: 1.4 seconds of every process.
    """
    tags = (torch.Tag.pt2_compliant_tag, torch.Tag.needs_fixed_stride_order)
    torch.library.define(f"tiedlm::{name}", schema, tags=tags)
    torch.library.impl(f"tiedlm::{name}", "default", function)
    torch.library.register_fake(f"tiedlm::{name}", fake)
    return getattr(torch.ops.tiedlm, name).default


augmented_loss = _register(
    "augmented_loss", f"({_ARGUMENTS}) -> ({', '.join(['Tensor'] * 7)})", _augmented_loss, _augmented_loss_fake
)
augmented_loss_backward = _register(
    "augmented_loss_backward",
    f"({_ARGUMENTS}, Tensor grad) -> (Tensor, Tensor, Tensor, Tensor)",
    _augmented_loss_backward,
    _augmented_loss_backward_fake,
)
torch.library.register_autograd("tiedlm::augmented_loss", _backward, setup_context=_setup)
