"""What a training is: corpus, model, loss, schedule and machine in one config. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Literal

from tiedlm.config import later
from tiedlm.data.sources import CorpusConfig
from tiedlm.errors import ConfigError
from tiedlm.nn.config import LSTMConfig, ModelConfig

Precision = Literal["float32", "bfloat16"]
"""Type of what goes into matrix products in training."""


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Cross-entropy (eq. 2.4), and with `gamma` above 0 the augmented loss (eq. 3.3, alpha = gamma x temperature)."""

    gamma: float = 0.0
    """Weight of the augmented term on the scale of the logits' gradient, in [0, 1e6]; 0 is plain cross-entropy."""
    temperature: float | None = None
    """Temperature of both softened distributions (eq. 3.1, 3.7), in [1e-3, 1e6]; None exactly where gamma is 0."""
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
        if self.gamma > 0 and not (self.temperature is not None and 1e-3 <= self.temperature <= 1e6):
            raise ConfigError(
                f"loss.temperature is {self.temperature}, but must lie in [1e-3, 1e6] where loss.gamma is "
                f"{self.gamma} (the paper uses 20)."
            )


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Stochastic gradient descent as published: loss summed over a window and averaged over streams."""

    epochs: int = 13
    """Passes over the training text; 1 to a million."""
    learning_rate: float = 1.0
    """Learning rate of the first epochs, for the loss summed over the steps of a window; in (0, 1e6]."""
    decay: float = 0.9
    """Factor on the learning rate at every epoch after `constant_epochs`; in (0, 1]."""
    constant_epochs: int = 5
    """Epochs at the full learning rate."""
    clip_norm: float = 5.0
    """Largest global norm of the gradient; longer ones are scaled down to it."""
    streams: int = 20
    """Contiguous streams trained side by side (B)."""
    steps: int = 35
    """Words of a window, through which gradients flow (T)."""
    moving_windows: bool = later(False)
    """Draw for every epoch how long its first window is (1 to `steps`), so that windows begin elsewhere each time."""
    weight_decay: float = later(0.0)
    """Factor on half the parameters' squared norm, added to that loss before the gradient is clipped; in [0, 1e6]."""
    table_decay: float = later(0.0)
    """The same of the classifier's table alone, which in a tied model is the word vectors' too; in [0, 1e6]."""

    def __post_init__(self) -> None:
        for name in ("epochs", "streams", "steps"):
            if getattr(self, name) < 1:
                raise ConfigError(f"training.{name} is {getattr(self, name)}, but must be 1 or more.")
        if self.epochs > 1_000_000:
            raise ConfigError(f"training.epochs is {self.epochs}, but must be 1,000,000 or less.")
        if not 0 < self.learning_rate <= 1e6:
            raise ConfigError(f"training.learning_rate is {self.learning_rate}, but must lie in (0, 1e6].")
        if not (math.isfinite(self.clip_norm) and self.clip_norm > 0):
            raise ConfigError(f"training.clip_norm is {self.clip_norm}, but must be finite and above 0.")
        for name in ("weight_decay", "table_decay"):
            if not 0 <= getattr(self, name) <= 1e6:
                raise ConfigError(f"training.{name} is {getattr(self, name)}, but must lie in [0, 1e6].")
        if not 0 < self.decay <= 1:
            raise ConfigError(f"training.decay is {self.decay}, but must lie in (0, 1].")
        if self.constant_epochs < 0:
            raise ConfigError(f"training.constant_epochs is {self.constant_epochs}, but must be 0 or more.")

    def learning_rate_at(self, epoch: int) -> float:
        """Return learning_rate x decay^max(0, epoch - constant_epochs); `epoch` counts from 1."""
        return self.learning_rate * self.decay ** max(0, epoch - self.constant_epochs)


@dataclass(frozen=True, kw_only=True)
class RuntimeConfig:
    """How the machine is used. Precision changes results slightly; device and threads only in the last digits."""

    device: str = "cpu"
    """`cpu`, `cuda`, or another device that PyTorch names."""
    threads: int | None = None
    """Threads of PyTorch on the CPU, 1 to 1,024; None leaves PyTorch's choice. A resumed run needs the same number."""
    precision: Precision = "float32"
    """Type of what goes into matrix products in training; parameters, sums and every score are float32."""
    save_seconds: float = 300.0
    """Seconds between two savings of the state to resume from, which is also saved after every epoch."""

    def __post_init__(self) -> None:
        if self.threads is not None and not 1 <= self.threads <= 1024:
            raise ConfigError(f"runtime.threads is {self.threads}, but must be 1 to 1,024.")
        if not (math.isfinite(self.save_seconds) and self.save_seconds >= 0):
            raise ConfigError(f"runtime.save_seconds is {self.save_seconds}, but must be finite and 0 or more.")


def runtime_options(fields: Mapping[str, object]) -> list[str]:
    """Return the words of a command line that give these fields of a `RuntimeConfig`."""
    named = ((f"--runtime.{name.replace('_', '-')}", str(value)) for name, value in sorted(fields.items()))
    return [word for option in named for word in option]


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One training, whole: with the seed, everything that its result depends on."""

    recipe: str
    """Name of the recipe this config came from; run folders are named after it, so it is a plain file name."""
    seed: int = 0
    """Seed of the initial weights and of every mask."""
    corpus: CorpusConfig
    """Which text."""
    model: ModelConfig = field(default_factory=LSTMConfig)
    """Which model."""
    loss: LossConfig = field(default_factory=LossConfig)
    """Which loss."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """Which schedule."""
    runtime: RuntimeConfig = field(default_factory=RuntimeConfig)
    """Which machine."""

    def __post_init__(self) -> None:
        name = self.recipe
        if PurePath(name).name != name or name in ("", "..") or not name.isprintable():
            raise ConfigError(
                f"recipe is {self.recipe!r}, but run folders are named after it: give a plain file name, without "
                "slashes and characters that cannot be printed."
            )
        if self.seed < 0:
            raise ConfigError(f"seed is {self.seed}, but must be 0 or more.")

    def with_epochs(self, epochs: int) -> RunConfig:
        """Return the config of a training of another length; a ConfigError where that is out of range."""
        return replace(self, training=replace(self.training, epochs=epochs))
