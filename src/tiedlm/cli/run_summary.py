"""What a run came to, read from its folder: without its weights, so it is quick for large ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, final

import torch

from tiedlm.checkpoint.folder import RunFolder
from tiedlm.config import from_json
from tiedlm.data.text import Vocabulary
from tiedlm.errors import ConfigError
from tiedlm.models.build import build_model
from tiedlm.paper.published import PUBLISHED
from tiedlm.recipes import recipe
from tiedlm.runs.config import RunConfig
from tiedlm.training.state import read_progress


@final
@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """A run in numbers; None where there is none (yet)."""

    run: str
    """Its folder."""
    recipe: str
    """Name of its recipe."""
    changed: bool
    """Whether its config differs from the recipe's in more than seed and machine."""
    seed: int
    trainings: int
    """1, or 2 where it was started from a run's weights, ..."""
    parameters: int
    """Parameters of the model, a tied table counted once."""
    epochs: int
    """Epochs that are done."""
    best_epoch: int | None
    """The epoch whose weights are kept."""
    valid: float | None
    """Perplexity of the validation text: the best so far."""
    test: float | None
    """Perplexity of the test text, once the training is over."""
    seconds: float
    """Time of training, validation included."""
    paper_valid: float | None
    """The paper's figure for this recipe; None where the config was changed."""
    paper_test: float | None
    paper_trainings: int | None
    """How many trainings are behind the paper's figures."""
    protocol: str | None
    """How the scores were made."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


def summarize(path: Path) -> RunSummary:
    """Return the summary of the run in the folder `path`.

    Raises:
        RunError: the folder is missing, no run folder, or damaged.
    """
    folder = RunFolder.open(path)
    config = from_json(RunConfig, folder.read_json("config"))
    words = len(Vocabulary.from_json(folder.read_json("vocabulary")))
    progress = read_progress(folder)
    scores = folder.read_json("scores") if folder.has("scores") else {}
    changed = is_changed(config)
    published = None if changed else PUBLISHED.get(config.recipe)
    return RunSummary(
        run=str(path),
        recipe=config.recipe,
        changed=changed,
        seed=config.seed,
        trainings=progress.generation,
        parameters=parameter_count(config, words),
        epochs=progress.epoch - 1,
        best_epoch=progress.best_epoch,
        valid=scores["valid"]["perplexity"] if scores else progress.best_valid_perplexity,
        test=scores["test"]["perplexity"] if scores else None,
        seconds=progress.total_seconds + progress.seconds,
        paper_valid=published.valid if published else None,
        paper_test=published.test if published else None,
        paper_trainings=published.trainings if published else None,
        protocol=scores.get("protocol"),
    )


def is_changed(config: RunConfig) -> bool:
    """Return whether a config is another than that of its recipe, seed and machine aside."""
    try:
        original = recipe(config.recipe)
    except ConfigError:
        return True
    return replace(config, seed=original.seed, runtime=original.runtime) != original


def parameter_count(config: RunConfig, words: int) -> int:
    """Return the parameters of the model for a vocabulary of `words`, without making them."""
    with torch.device("meta"):
        return build_model(config.model, words).parameter_count()
