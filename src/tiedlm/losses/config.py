"""Which loss to learn with: the config of the loss. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from tiedlm.config import later
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
    target: Literal["words", "uniform"] = later("words")
    """Soft target: from the word vectors (eq. 3.7), or, as a control, the uniform distribution over the vocabulary."""
    label_smoothing: float = later(0.0)
    """Share of the hard target that is spread evenly over the vocabulary, in [0, 1); as PyTorch's cross-entropy."""

    def __post_init__(self) -> None:
        if not 0 <= self.gamma <= 1e6:
            raise ConfigError(f"loss.gamma is {self.gamma}, but must lie in [0, 1e6].")
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(f"loss.label_smoothing is {self.label_smoothing}, but must lie in [0, 1).")
        if self.gamma == 0 and (self.temperature is not None or self.detach_target or self.target != "words"):
            raise ConfigError(
                "loss.temperature, loss.detach_target and loss.target have no effect without the augmented term: "
                "give loss.gamma above 0, or leave them out."
            )
        if self.target == "uniform" and self.detach_target:
            raise ConfigError(
                "loss.detach_target has no effect with loss.target 'uniform', which is a constant: leave it out."
            )
        if self.gamma > 0 and not (
            self.temperature is not None and math.isfinite(self.temperature) and self.temperature > 0
        ):
            raise ConfigError(
                f"loss.temperature is {self.temperature}, but must be finite and above 0 where loss.gamma is "
                f"{self.gamma} (the paper uses 20)."
            )
