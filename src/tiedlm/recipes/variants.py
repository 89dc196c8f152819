"""The paper's four models as variants of one another: untied or tied, cross-entropy or augmented loss."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from tiedlm.models.config import ModelConfig
from tiedlm.runs.config import LossConfig

VARIANTS = ("vd", "al", "re", "real")
"""The baseline, +AL, +RE, +REAL (= RE and AL): the last part of a recipe's name."""

TEMPERATURE = 20.0
"""tau of all published models (the paper's section 5)."""


Model = TypeVar("Model", bound=ModelConfig)


def model_of(variant: str, base: Model) -> Model:
    """Return `base`, tied where the variant is."""
    return replace(base, tied=variant in ("re", "real"))


def loss_of(variant: str, gamma: float) -> LossConfig:
    """Return cross-entropy, or the augmented loss differentiated in full, as it is written."""
    if variant in ("vd", "re"):
        return LossConfig()
    return LossConfig(gamma=gamma, temperature=TEMPERATURE)
