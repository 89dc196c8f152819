"""All that a training is at one instant: what it needs to go on exactly, and its way to and from the run folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from tiedlm.checkpoint import RunFolder
from tiedlm.checkpoint.tensors import tensors_to_bytes
from tiedlm.errors import RunError
from tiedlm.nn.model import LanguageModel, State

PROGRESS_VERSION = 1


@dataclass(kw_only=True)
class Progress:
    """The numbers of a training's state; all of them survive a trip through JSON unchanged."""

    generation: int = 1
    """1 for a training from random weights, 2 for one that started from its weights (a second training), ..."""
    epoch: int = 1
    """The epoch under way, from 1; one more than the config's epochs when the training is over."""
    window: int = 0
    """Windows of this epoch that are done."""
    words: int = 0
    """Words of this epoch that are done."""
    loss_sum: float = 0.0
    """Loss of these words, summed."""
    cross_entropy_sum: float = 0.0
    """Cross-entropy of these words in nats, summed."""
    seconds: float = 0.0
    """Seconds of training this epoch, over all processes that worked on it."""
    total_seconds: float = 0.0
    """Seconds of all epochs before, validation included."""
    best_epoch: int | None = None
    """Epoch whose weights were best on the validation text."""
    best_valid_perplexity: float | None = None
    """Their perplexity."""

    def next_epoch(self, seconds: float) -> None:
        """Go to the start of the next epoch, after one that took `seconds`."""
        self.total_seconds += seconds
        self.epoch, self.window, self.words = self.epoch + 1, 0, 0
        self.loss_sum = self.cross_entropy_sum = self.seconds = 0.0


@dataclass(kw_only=True)
class TrainingState:
    """Model, carried state and progress."""

    model: LanguageModel
    carried: State
    progress: Progress = field(default_factory=Progress)

    def contents(self) -> dict[str, bytes]:
        """Return the roles `state` and `progress` of the run folder."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"carried.{index}": tensor for index, tensor in enumerate(self.carried)}
        progress = {"version": PROGRESS_VERSION, **asdict(self.progress)}
        return {"state": tensors_to_bytes(tensors), "progress": json.dumps(progress, allow_nan=False).encode()}

    def weights(self) -> bytes:
        """Return the role `weights`: the model's parameters alone."""
        return tensors_to_bytes(self.model.state_dict())


def restore(folder: RunFolder, model: LanguageModel) -> TrainingState:
    """Return the state that `folder` holds, its parameters put into `model`.

    Raises:
        RunError: a damaged or foreign state.
    """
    tensors, progress = folder.read_tensors("state"), read_progress(folder)
    device = model.classifier.device
    try:
        prefix = "model."
        model.load_state_dict({name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)})
        count = sum(name.startswith("carried.") for name in tensors)
        carried = tuple(tensors[f"carried.{index}"].to(device) for index in range(count))
    except (KeyError, RuntimeError) as error:
        raise RunError(f"The state in {folder.path} does not fit its config: {error}") from error
    return TrainingState(model=model, carried=carried, progress=progress)


def read_progress(folder: RunFolder) -> Progress:
    """Return how far the training in `folder` is."""
    value: dict[str, Any] = folder.read_json("progress")
    version = value.pop("version", None)
    if version != PROGRESS_VERSION:
        raise RunError(
            f"The state in {folder.path} has the version {version!r}, but this tiedlm reads {PROGRESS_VERSION}: "
            "resume it with the version that wrote it."
        )
    return Progress(**value)
