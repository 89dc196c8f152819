"""The paper's three network sizes: widths, starts and schedules.

| | stated | chosen here, and why |
|---|---|---|
| small, medium, large | units, learning rate 1, decay and its start, clipping norm | |
| start of the weights | | Zaremba et al. (2014), whose code the paper follows: 0.1, 0.05, 0.04 |
| epochs, small | | 40: the learning rate has then fallen to 0.9^35 = 0.025 |
| where windows begin, small | | elsewhere in every epoch: better by 0.7 on validation after 16 (docs/reproduction.md) |
| epochs, medium, large | | 39 and 55, as Zaremba et al.; not yet settled by runs |
"""

from __future__ import annotations

from dataclasses import dataclass

from tiedlm.models.config import LSTMConfig
from tiedlm.runs.config import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class Size:
    """Units, start and schedule of one of the paper's networks."""

    units: int
    init_range: float
    training: TrainingConfig

    def model(self, keep_input: float, keep_hidden: float) -> LSTMConfig:
        """Return the untied two-layer network."""
        return LSTMConfig(
            units=self.units,
            layers=2,
            keep_input=keep_input,
            keep_hidden=keep_hidden,
            init_range=self.init_range,
            tied=False,
        )


SMALL = Size(
    units=200,
    init_range=0.1,
    training=TrainingConfig(
        epochs=40, learning_rate=1.0, decay=0.9, constant_epochs=5, clip_norm=5.0, moving_windows=True
    ),
)
MEDIUM = Size(
    units=650,
    init_range=0.05,
    training=TrainingConfig(epochs=39, learning_rate=1.0, decay=0.9, constant_epochs=10, clip_norm=5.0),
)
LARGE = Size(
    units=1500,
    init_range=0.04,
    training=TrainingConfig(epochs=55, learning_rate=1.0, decay=0.97, constant_epochs=1, clip_norm=6.0),
)
