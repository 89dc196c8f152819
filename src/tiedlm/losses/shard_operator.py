"""The vocabulary-parallel loss as autograd sees it: gradients with the loss, or for "none" by a second sweep.

A gradient of the gradient is refused: the gradients were computed outside autograd, and would count as constants.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from tiedlm.derivatives import refuse_double_backward
from tiedlm.losses.call import DIFFERENTIABLE, TENSORS, Call
from tiedlm.losses.shard_sweep import sweep
from tiedlm.losses.shards import Shard
from tiedlm.losses.swept import swept, swept_again


class ParallelLoss(torch.autograd.Function):
    """Inputs: a `Shard`, and one after the other the fields of a `Call`, of which tables are those of the shard.

    Outputs: total, cross-entropy and divergence, reduced or [N]; the last two carry no gradient.
    """

    @staticmethod
    def forward(ctx: Any, shard: Shard, *arguments: Any) -> tuple[Tensor, ...]:
        """Return the losses, and keep their gradients, or the inputs for "none"."""
        call = Call(*arguments)
        losses, gradients = swept(call, partial(sweep, shard=shard))
        ctx.call, ctx.shard = call._replace(**{name: None for name in TENSORS}), shard
        ctx.dtype = call.classifier.dtype
        tensors = [getattr(call, name) for name in TENSORS]
        ctx.save_for_backward(*(tensors if call.reduction == "none" else gradients))
        ctx.mark_non_differentiable(*losses[1:])
        return tuple(losses)

    @staticmethod
    def backward(ctx: Any, *arriving: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients; for "none" all ranks have to enter."""
        refuse_double_backward("the vocabulary-parallel loss gives", "implementation 'functional' in one process")
        if ctx.call.reduction == "none":
            call = ctx.call._replace(**dict(zip(TENSORS, ctx.saved_tensors, strict=True)))
            gradients = swept_again(call, partial(sweep, shard=ctx.shard), arriving[0])
        else:
            gradients = [None if gradient is None else gradient * arriving[0] for gradient in ctx.saved_tensors]
        gradients = [None if gradient is None else gradient.to(ctx.dtype) for gradient in gradients]
        found: dict[str, Tensor | None] = dict(zip(DIFFERENTIABLE, gradients, strict=True))
        return None, *(found.get(name) for name in Call._fields)
