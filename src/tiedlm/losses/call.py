"""The arguments of the chunked loss as an operator of PyTorch, which takes tensors, numbers and words alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from tiedlm.losses.arguments import Reduction
from tiedlm.losses.inputs import LossInputs

PassesName = Literal["plain", "compiled", "triton"]
PASSES: tuple[PassesName, ...] = ("plain", "compiled", "triton")
DIFFERENTIABLE = ("features", "classifier", "table", "bias")
"""The arguments that may have a gradient, in the order in which gradients are given."""
TENSORS = ("features", "classifier", "targets", "table", "bias", "vocabulary_mask", "token_weights")
NOTHING = (False, False, False, False)


class Call(NamedTuple):
    """The operator's arguments in the order of its schema: tensors, options, and how the work is done."""

    features: Tensor
    """[N, D], in the classifier's type."""
    classifier: Tensor
    targets: Tensor
    """[N]"""
    table: Tensor | None
    bias: Tensor | None
    vocabulary_mask: Tensor | None
    token_weights: Tensor | None
    """[N] or None."""
    temperature: float
    gamma: float
    detach_target: bool
    center_table: bool
    ignore_index: int
    reduction: Reduction
    chunk_rows: int
    passes: PassesName
    products: torch.dtype
    """Type of the inputs of matrix products."""
    wanted: Sequence[bool]
    """Whether the gradients of features, classifier, table and bias are wanted."""


SCHEMA = (
    "Tensor features, Tensor classifier, Tensor targets, Tensor? table, Tensor? bias, Tensor? vocabulary_mask, "
    "Tensor? token_weights, float temperature, float gamma, bool detach_target, bool center_table, int ignore_index, "
    "str reduction, int chunk_rows, str passes, ScalarType products, bool[] wanted"
)
"""The same, as PyTorch wants it told."""


def call_of(given: LossInputs, chunk_rows: int, passes: PassesName) -> Call:
    """Return the operator's arguments for a loss."""
    kind = given.classifier.dtype
    weights = given.token_weights
    call = Call(
        features=given.features.reshape(-1, given.features.shape[-1]).to(kind),
        classifier=given.classifier,
        targets=given.targets.reshape(-1),
        table=None if given.table is None or given.gamma == 0 else given.table.to(kind),  # nobody reads it then
        bias=None if given.bias is None else given.bias.to(kind),
        vocabulary_mask=given.vocabulary_mask,
        token_weights=None if weights is None else weights.reshape(-1),
        temperature=float(given.temperature),
        gamma=float(given.gamma),
        detach_target=given.detach_target,
        center_table=given.center_table,
        ignore_index=given.ignore_index,
        reduction=given.reduction,
        chunk_rows=chunk_rows,
        passes=passes,
        products=given.products,
        wanted=NOTHING,
    )
    learning = [getattr(call, name) for name in DIFFERENTIABLE]
    wanted = [one is not None and one.requires_grad and torch.is_grad_enabled() for one in learning]
    wanted[DIFFERENTIABLE.index("table")] &= not call.detach_target
    return call._replace(wanted=wanted)
