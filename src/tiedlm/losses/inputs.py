"""What a loss from features and tables is given: one class, so that every implementation takes and checks the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor

from tiedlm.losses.arguments import (
    Reduction,
    autocast_converts,
    check_linear,
    check_local,
    check_options,
    check_targets,
    check_token_weights,
    check_vocabulary_mask,
)


class LossOptions(TypedDict, total=False):
    """The keyword arguments of every implementation; `linear.linear_augmented_cross_entropy` says what they mean."""

    table: Tensor | None
    bias: Tensor | None
    temperature: float
    gamma: float
    detach_target: bool
    ignore_index: int
    reduction: Reduction
    vocabulary_mask: Tensor | None
    center_table: bool
    token_weights: Tensor | None


@dataclass(frozen=True)
class LossInputs:
    """Tensors and options of one call; construction checks all that can be checked without reading an entry."""

    features: Tensor
    classifier: Tensor
    targets: Tensor
    table: Tensor | None = None
    bias: Tensor | None = None
    temperature: float = 20.0
    gamma: float = 0.5
    detach_target: bool = False
    ignore_index: int = -100
    reduction: Reduction = "mean"
    vocabulary_mask: Tensor | None = None
    center_table: bool = False
    token_weights: Tensor | None = None

    def __post_init__(self) -> None:
        check_options(self.temperature, self.gamma, self.reduction)
        check_local(
            features=self.features,
            classifier=self.classifier,
            targets=self.targets,
            table=self.table,
            bias=self.bias,
            vocabulary_mask=self.vocabulary_mask,
            token_weights=self.token_weights,
        )
        check_linear(self.features, self.classifier, self.table, self.bias)
        check_targets(self.targets, self.features.shape[:-1], self.classifier.device)
        check_vocabulary_mask(self.vocabulary_mask, self.classifier)
        check_token_weights(self.token_weights, self.targets)

    @property
    def products(self) -> torch.dtype:
        """The type that autocast asks of matrix products here, or the tables' own."""
        return products_with(self.classifier)


def products_with(classifier: Tensor) -> torch.dtype:
    """Return the type that autocast asks of matrix products with the classifier, or its own."""
    return torch.get_autocast_dtype(classifier.device.type) if autocast_converts(classifier) else classifier.dtype
