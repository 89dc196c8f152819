"""Configs of the language models, one class a cell. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from tiedlm.config import later
from tiedlm.errors import ConfigError

MAX_WIDTH, MAX_DEPTH, MAX_START = 1_000_000, 1000, 1e6
"""Bounds on widths, on numbers of layers and highway steps, and on initial values: beyond use, within PyTorch's own."""


@dataclass(frozen=True, kw_only=True)
class _StackConfig:
    """Fields that LSTM and GRU models share; abstract."""

    units: int = 200
    """Units of every layer (H); 1 to a million."""
    layers: int = 2
    """Layers (K); 1 to a thousand."""
    embedding_width: int | None = None
    """Width of the word vectors (D), 1 to a million; None takes `units`."""
    tied: bool = False
    """Use one table as word vectors and classifier (section 4: W = L transposed, b = 0)."""
    tied_bias: bool = later(False)
    """Give a tied classifier an output bias; the paper's has none, and an untied one always has one."""
    unigram_bias: bool = later(False)
    """Start the output bias at the logarithm of each word's share of the training text, instead of near 0."""
    project: bool = False
    """Put a linear map before a tied classifier; needed exactly where `embedding_width` differs from `units`."""
    keep_input: float = 1.0
    """Probability to keep a unit of the looked-up word vector; in (0, 1], 1 draws no mask."""
    keep_hidden: float = 1.0
    """Probability to keep a unit of a layer's output, in time and in depth; in (0, 1], 1 draws no mask."""
    init_range: float = 0.1
    """Every parameter starts uniform in (-init_range, init_range); in (0, 1e6]."""

    def __post_init__(self) -> None:
        _check_counts(MAX_WIDTH, units=self.units, embedding_width=self.width)
        _check_counts(MAX_DEPTH, layers=self.layers)
        _check_keeps(keep_input=self.keep_input, keep_hidden=self.keep_hidden)
        _check_start_and_bias(self)
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

    @property
    def network(self) -> str:
        """The network in a few words."""
        return f"{'GRU ' if isinstance(self, GRUConfig) else ''}{self.layers} x {self.units}, {_tables(self)}"


@final
@dataclass(frozen=True, kw_only=True)
class LSTMConfig(_StackConfig):
    """The paper's VD-LSTM (section 1): LSTM layers with variational dropout, tied or untied.

    In JSON it is the model without a `kind`.
    """


@final
@dataclass(frozen=True, kw_only=True)
class GRUConfig(_StackConfig):
    """GRU layers with the masks of the VD-LSTM, tied or untied."""

    kind: ClassVar[str] = "gru"


@final
@dataclass(frozen=True, kw_only=True)
class RHNConfig:
    """The VD-RHN of Zilly et al. (2017): recurrent highway layers with variational dropout, tied or untied."""

    kind: ClassVar[str] = "rhn"

    units: int = 830
    """Units of every layer and of the word vectors (H = D); 1 to a million."""
    depth: int = 10
    """Recurrence depth: highway steps within a step of time (L); 1 to a thousand."""
    layers: int = 1
    """Layers (K); 1 to a thousand."""
    tied: bool = False
    """Use one table as word vectors and classifier (section 4: W = L transposed, b = 0)."""
    tied_bias: bool = later(False)
    """Give a tied classifier an output bias; the paper's has none, and an untied one always has one."""
    unigram_bias: bool = later(False)
    """Start the output bias at the logarithm of each word's share of the training text, instead of near 0."""
    keep_words: float = 1.0
    """Probability to keep a word, wherever it stands in a stream's window; in (0, 1], 1 draws no mask."""
    keep_input: float = 1.0
    """Probability to keep a unit of a layer's input; in (0, 1], 1 draws no mask."""
    keep_state: float = 1.0
    """Probability to keep a unit of the state where weights read it; in (0, 1], 1 draws no mask."""
    keep_output: float = 1.0
    """Probability to keep a unit of what the classifier reads; in (0, 1], 1 draws no mask."""
    init_range: float = 0.04
    """Every parameter but the transform gates' biases starts uniform in (-init_range, init_range); in (0, 1e6]."""
    transform_bias: float = -2.0
    """Start of the transform gates' biases, in [-1e6, 1e6]; below 0 a step at first carries more than it changes."""

    def __post_init__(self) -> None:
        _check_counts(MAX_WIDTH, units=self.units)
        _check_counts(MAX_DEPTH, depth=self.depth, layers=self.layers)
        names = ("keep_words", "keep_input", "keep_state", "keep_output")
        _check_keeps(**{name: getattr(self, name) for name in names})
        if not abs(self.transform_bias) <= MAX_START:
            raise ConfigError(f"model.transform_bias is {self.transform_bias}, but must lie in [-1e6, 1e6].")
        _check_start_and_bias(self)

    @property
    def network(self) -> str:
        """The network in a few words."""
        return f"RHN of depth {self.depth}, {self.layers} x {self.units}, {_tables(self)}"


ModelConfig = LSTMConfig | GRUConfig | RHNConfig
"""A config of any cell. A field that a cell does not have is an error, in JSON and on the command line."""


def _check_counts(maximum: int, **counts: int) -> None:
    for name, value in counts.items():
        if not 1 <= value <= maximum:
            raise ConfigError(f"model.{name} is {value}, but must be 1 to {maximum:,}.")


def _check_keeps(**probabilities: float) -> None:
    for name, value in probabilities.items():
        if not 0 < value <= 1:
            raise ConfigError(f"model.{name} is {value}, but must lie in (0, 1].")


def _check_start_and_bias(config: _StackConfig | RHNConfig) -> None:
    if not 0 < config.init_range <= MAX_START:
        raise ConfigError(f"model.init_range is {config.init_range}, but must lie in (0, 1e6].")
    if config.tied_bias and not config.tied:
        raise ConfigError(
            "model.tied_bias has no effect unless model.tied is set: a classifier of its own has an output bias anyway."
        )
    if config.unigram_bias and config.tied and not config.tied_bias:
        raise ConfigError(
            "model.unigram_bias has no effect on a tied classifier without an output bias: set model.tied_bias too."
        )


def _tables(config: _StackConfig | RHNConfig) -> str:
    tables = ("tied with a bias" if config.tied_bias else "tied") if config.tied else "untied"
    return f"{tables} from the unigrams" if config.unigram_bias else tables
