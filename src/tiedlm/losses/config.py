"""Which loss to learn with: the config of the loss. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tiedlm.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Cross-entropy (eq. 2.4), and with `gamma` above 0 the augmented loss (eq. 3.3, alpha = gamma x temperature)."""

    gamma: float = 0.0
    """Weight of the augmented term on the scale of the logits' gradient, in [0, 1e6]; 0 is plain cross-entropy."""
    temperature: float | None = None
    """Temperature of both softened distributions (eq. 3.1, 3.7); None exactly where gamma is 0."""
    detach_target: bool = False
    """Stop the gradient at the soft target, instead of differentiating the loss in full as it is written."""

    def __post_init__(self) -> None:
        if not 0 <= self.gamma <= 1e6:
            raise ConfigError(f"loss.gamma is {self.gamma}, but must lie in [0, 1e6].")
        if self.gamma == 0 and (self.temperature is not None or self.detach_target):
            raise ConfigError(
                "loss.temperature and loss.detach_target have no effect without the augmented term: "
                "give loss.gamma above 0, or leave them out."
            )
        if self.gamma > 0 and not (
            self.temperature is not None and math.isfinite(self.temperature) and self.temperature > 0
        ):
            raise ConfigError(
                f"loss.temperature is {self.temperature}, but must be finite and above 0 where loss.gamma is "
                f"{self.gamma} (the paper uses 20)."
            )
