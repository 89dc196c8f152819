"""The augmented loss as a module: options once, then called like any loss."""

from __future__ import annotations

from torch import Tensor, nn

from tiedlm.losses.arguments import Reduction, check_options
from tiedlm.losses.functional import LossTerms
from tiedlm.losses.linear import Implementation, check_implementation, linear_augmented_terms


class AugmentedLoss(nn.Module):
    """`linear_augmented_cross_entropy` with its options bound; holds no parameters.

    Args:
        gamma, temperature, detach_target, ignore_index, reduction, center_table, implementation, chunk_rows: as for the
            function.
        vocabulary_mask: as for the function; moves with the module from device to device.

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
        center_table: bool = False,
        vocabulary_mask: Tensor | None = None,
        implementation: Implementation = "auto",
        chunk_rows: int | None = None,
    ) -> None:
        super().__init__()
        check_options(temperature, gamma, reduction)
        check_implementation(implementation, chunk_rows)
        self.gamma, self.temperature, self.detach_target = gamma, temperature, detach_target
        self.ignore_index, self.center_table, self.chunk_rows = ignore_index, center_table, chunk_rows
        self.vocabulary_mask: Tensor | None
        self.register_buffer("vocabulary_mask", vocabulary_mask, persistent=False)
        self.reduction: Reduction = reduction
        self.implementation: Implementation = implementation

    def forward(
        self,
        features: Tensor,
        classifier: Tensor,
        targets: Tensor,
        table: Tensor | None = None,
        bias: Tensor | None = None,
        token_weights: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of features [..., D] for targets [...] under classifier [V, D]; `table` None means tied."""
        return self.terms(features, classifier, targets, table, bias, token_weights).total

    def terms(
        self,
        features: Tensor,
        classifier: Tensor,
        targets: Tensor,
        table: Tensor | None = None,
        bias: Tensor | None = None,
        token_weights: Tensor | None = None,
    ) -> LossTerms:
        """Return the loss and its two terms; only `cross_entropy` is the logarithm of a perplexity."""
        return linear_augmented_terms(
            features,
            classifier,
            targets,
            self.implementation,
            self.chunk_rows,
            table=table,
            bias=bias,
            temperature=self.temperature,
            gamma=self.gamma,
            detach_target=self.detach_target,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            vocabulary_mask=self.vocabulary_mask,
            center_table=self.center_table,
            token_weights=token_weights,
        )

    def extra_repr(self) -> str:
        """Return the options for `repr`."""
        return f"gamma={self.gamma}, temperature={self.temperature}, detach_target={self.detach_target}"
