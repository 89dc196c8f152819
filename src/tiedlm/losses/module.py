"""The augmented loss as a module: options once, then called like any loss."""

from __future__ import annotations

from torch import Tensor, nn

from tiedlm.losses.arguments import Reduction, check_options
from tiedlm.losses.functional import LossTerms
from tiedlm.losses.linear import Implementation, check_implementation, linear_augmented_terms


class AugmentedLoss(nn.Module):
    """`linear_augmented_cross_entropy` with its options bound; holds no parameters.

    Args:
        gamma, temperature, detach_target, ignore_index, reduction, implementation, chunk_rows: as for the function.

    Raises:
        ArgumentError: an option outside its range, at construction.

    Example:
        >>> import torch
        >>> loss = AugmentedLoss(gamma=0.65, temperature=20.0)
        >>> features, table = torch.randn(6, 4), torch.randn(10, 4)
        >>> loss(features, table, torch.arange(6)).shape
        torch.Size([])
    """

    def __init__(
        self,
        *,
        gamma: float = 0.5,
        temperature: float = 20.0,
        detach_target: bool = False,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        implementation: Implementation = "auto",
        chunk_rows: int | None = None,
    ) -> None:
        super().__init__()
        check_options(temperature, gamma, reduction)
        check_implementation(implementation, chunk_rows)
        self.gamma, self.temperature, self.detach_target = gamma, temperature, detach_target
        self.ignore_index, self.chunk_rows = ignore_index, chunk_rows
        self.reduction: Reduction = reduction
        self.implementation: Implementation = implementation

    def forward(
        self,
        features: Tensor,
        classifier: Tensor,
        targets: Tensor,
        table: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of features [..., D] for targets [...] under classifier [V, D]; `table` None means tied."""
        return self.terms(features, classifier, targets, table, bias).total

    def terms(
        self,
        features: Tensor,
        classifier: Tensor,
        targets: Tensor,
        table: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> LossTerms:
        """Return the loss and its two terms; only `cross_entropy` is the logarithm of a perplexity."""
        return linear_augmented_terms(
            features,
            classifier,
            targets,
            table,
            bias,
            self.temperature,
            self.gamma,
            self.detach_target,
            self.ignore_index,
            self.reduction,
            self.implementation,
            self.chunk_rows,
        )

    def extra_repr(self) -> str:
        """Return the options for `repr`."""
        return f"gamma={self.gamma}, temperature={self.temperature}, detach_target={self.detach_target}"
