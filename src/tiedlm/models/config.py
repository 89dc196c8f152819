"""Which model to train: the config of the LSTM language model. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from tiedlm.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class LSTMConfig:
    """The paper's VD-LSTM (section 1): layers of LSTM under variational dropout, with one word table or two."""

    units: int = 200
    """Units of every layer (H)."""
    layers: int = 2
    """Layers (K)."""
    embedding_width: int | None = None
    """Width of the word vectors (D); None takes `units`."""
    tied: bool = False
    """Use one table as word vectors and classifier, without output bias (eq. 4: W = L transposed, b = 0)."""
    project: bool = False
    """Put a linear map before a tied classifier; needed exactly where `embedding_width` differs from `units`."""
    keep_input: float = 1.0
    """Probability to keep a unit of the looked-up word vector; in (0, 1], 1 draws no mask."""
    keep_hidden: float = 1.0
    """Probability to keep a unit of a layer's output, in time and in depth; in (0, 1], 1 draws no mask."""
    init_range: float = 0.1
    """Every parameter starts uniform in (-init_range, init_range)."""

    def __post_init__(self) -> None:
        for name in ("units", "layers"):
            if getattr(self, name) < 1:
                raise ConfigError(f"model.{name} is {getattr(self, name)}, but must be 1 or more.")
        if self.embedding_width is not None and self.embedding_width < 1:
            raise ConfigError(f"model.embedding_width is {self.embedding_width}, but must be 1 or more.")
        for name in ("keep_input", "keep_hidden"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"model.{name} is {getattr(self, name)}, but must lie in (0, 1].")
        if not self.init_range > 0:
            raise ConfigError(f"model.init_range is {self.init_range}, but must be above 0.")
        self._check_widths()

    def _check_widths(self) -> None:
        differ = self.width != self.units
        if self.tied and differ and not self.project:
            raise ConfigError(
                f"A tied classifier needs features as wide as the word vectors, but model.units is {self.units} and "
                f"model.embedding_width is {self.width}. Either make them equal, or set model.project to put a "
                "linear map between them."
            )
        if self.project and not (self.tied and differ):
            raise ConfigError(
                "model.project has no effect unless the classifier is tied and model.embedding_width differs from "
                "model.units."
            )

    @property
    def width(self) -> int:
        """Width of the word vectors (D)."""
        return self.units if self.embedding_width is None else self.embedding_width
