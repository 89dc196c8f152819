"""The chunked loss as one operator of PyTorch: what `torch.compile` and autograd see of it.

For a compiler the operator is a single node: its choices by value (which rows count, how many distinct targets) break
no graph. The gradients are computed with the loss for the reductions "mean" and "sum"; for "none" the sweep is repeated
in the backward pass with the arriving weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tiedlm.derivatives import refuse_double_backward, refuse_transforms
from tiedlm.losses.arguments import check_values
from tiedlm.losses.call import DIFFERENTIABLE, SCHEMA, TENSORS, Call
from tiedlm.losses.gradient_sums import Gradients
from tiedlm.losses.problem import kept_type, wide_type
from tiedlm.losses.sweep import sweep
from tiedlm.losses.swept import swept, swept_again
from tiedlm.native.cuda_graph import values_unread


@torch.library.custom_op(
    "tiedlm::augmented_loss",
    mutates_args=(),
    schema=f"({SCHEMA}) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def augmented_loss(*arguments: Any) -> tuple[Tensor, ...]:
    """Return total, cross-entropy and divergence, reduced, and the gradients of the total; empty if not wanted now."""
    call = Call(*arguments)
    if not values_unread():
        check_values(call.targets, len(call.classifier), call.ignore_index, call.vocabulary_mask, call.token_weights)
    terms, gradients = swept(call, sweep)
    return (*terms, *_filled(gradients, call))


@torch.library.custom_op(
    "tiedlm::augmented_loss_gradients",
    mutates_args=(),
    schema=f"({SCHEMA}, Tensor arriving) -> (Tensor, Tensor, Tensor, Tensor)",
)
def augmented_loss_gradients(*arguments: Any) -> tuple[Tensor, ...]:
    """Sweep with what arrived in the backward pass: a factor for every target's loss [N], or for the reduced one []."""
    *given, arriving = arguments
    call = Call(*given)
    return _filled(swept_again(call, sweep, arriving), call)


@augmented_loss.register_fake
def _(*arguments: Any) -> tuple[Tensor, ...]:
    call = Call(*arguments)
    wide = wide_type(call.classifier.dtype)
    shape = call.targets.shape if call.reduction == "none" else ()
    terms = [call.features.new_empty(shape, dtype=wide) for _ in range(3)]
    return (*terms, *_shaped(call, now=call.reduction != "none"))


@augmented_loss_gradients.register_fake
def _(*arguments: Any) -> tuple[Tensor, ...]:
    return _shaped(Call(*arguments[:-1]), now=True)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    call = Call(*inputs)
    ctx.set_materialize_grads(False)
    ctx.call = call._replace(**{name: None for name in TENSORS})
    ctx.dtype = call.classifier.dtype
    ctx.present = [getattr(call, name) is not None for name in TENSORS]
    ctx.save_for_backward(*(getattr(call, name) for name in TENSORS if getattr(call, name) is not None))
    ctx.found = None if call.reduction == "none" else [gradient.detach() for gradient in output[3:]]


def _backward(ctx: Any, arriving: Tensor | None, *_: Tensor | None) -> tuple[Tensor | None, ...]:
    refuse_double_backward("implementations 'chunked' and 'compiled' give", "'functional'")
    refuse_transforms("this loss gives", "implementation 'functional'")
    if arriving is None:
        return (None,) * len(Call._fields)
    found = _swept_again(ctx, arriving) if ctx.found is None else _scaled(ctx.found, arriving)
    ctx.found = None
    found = [gradient.to(ctx.dtype) for gradient in found]
    features, classifier, table, bias = (
        gradient if wanted else None for gradient, wanted in zip(found, ctx.call.wanted, strict=True)
    )
    options = (None,) * (len(Call._fields) - len(DIFFERENTIABLE) - 1)
    return (features, classifier, None, table, bias, *options)


def _swept_again(ctx: Any, arriving: Tensor) -> Sequence[Tensor]:
    """Return the gradients where none are at hand: for "none", and in the second backward pass of a graph."""
    saved = iter(ctx.saved_tensors)
    tensors = {name: next(saved) for name, there in zip(TENSORS, ctx.present, strict=True) if there}
    return augmented_loss_gradients(*ctx.call._replace(**tensors), arriving)


def _scaled(gradients: Sequence[Tensor], arriving: Tensor) -> Sequence[Tensor]:
    """Return the gradients times what arrived. They are given away: a new table for each call costs more than it seems.

    A loss that is differentiated itself brings 1; asking costs nothing on a CPU, and a wait on other devices.
    """
    traced = torch.compiler.is_compiling() or type(arriving) is not Tensor
    batched = torch._C._functorch.is_legacy_batchedtensor  # pyright: ignore[reportAttributeAccessIssue]
    if traced or batched(arriving):  # as is_grads_batched=True has it
        return [gradient * arriving.to(gradient.dtype) for gradient in gradients]
    if arriving.device.type == "cpu" and float(arriving) == 1:
        return gradients
    return [gradient.mul_(arriving.to(gradient.dtype)) for gradient in gradients]


augmented_loss.register_autograd(_backward, setup_context=_setup)


def _filled(gradients: Gradients, call: Call) -> tuple[Tensor, ...]:
    """Return the gradients with an empty tensor for each that was not worked out, as an operator must return some."""
    empty = call.features.new_empty(0)
    return tuple(empty.clone() if gradient is None else gradient for gradient in gradients)


def _shaped(call: Call, *, now: bool) -> tuple[Tensor, ...]:
    """Return tensors of the shapes and types that `_filled` gives; like those, all are contiguous."""
    likes = [getattr(call, name) for name in DIFFERENTIABLE]
    present = [like is not None and wanted and now for like, wanted in zip(likes, call.wanted, strict=True)]
    kept, nothing = kept_type(call.classifier.dtype), call.features.new_empty(0)
    return tuple(
        like.new_empty(like.shape, dtype=kept) if there else nothing.clone()
        for like, there in zip(likes, present, strict=True)
    )
