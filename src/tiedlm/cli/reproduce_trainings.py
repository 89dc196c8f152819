"""From the trainings that are missing to those that can be begun or gone on with here, each with its run folder."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

from tiedlm.checkpoint.folder import RunFolder
from tiedlm.cli.train import default_run_dir
from tiedlm.paper.plan import Step
from tiedlm.recipes import recipe
from tiedlm.runs.config import RunConfig


@final
@dataclass(frozen=True, kw_only=True)
class Training:
    """A training of this machine's: to be begun, to be gone on with, or only to be published."""

    config: RunConfig
    """The recipe, with the seed."""
    run_dir: Path
    start_from: Path | None
    """The run folder of the first training, for a second one."""
    done: float
    """Share of its epochs that the run folder has, in [0, 1]; 1: it is finished and has to be published."""
    seconds: float | None
    """What is left would take so long; None where that is not known."""

    def command(self) -> str:
        """Return the command line that does what is left."""
        if self.done == 1:
            return shlex.join(["tiedlm", "publish", str(self.run_dir)])
        if self.run_dir.exists():
            return shlex.join(["tiedlm", "train", "--resume", str(self.run_dir)])
        words = ["tiedlm", "train", self.config.recipe, "--seed", str(self.config.seed), "--run-dir", str(self.run_dir)]
        return shlex.join(words if self.start_from is None else [*words, "--from", str(self.start_from)])


def trainings(steps: Iterable[Step]) -> list[Training]:
    """Return the trainings that supply what is missing, in the order of the steps.

    A second training needs the weights of the first, which results do not hold: where that run is not on this machine,
    it comes before, although its result is there.

    Raises:
        RunError: what stands in the place of a run folder is none, or is damaged.
    """
    found: dict[Path, Training] = {}
    for step in steps:
        for training in range(1, step.training + 1):
            one = _training(step, training)
            if training == step.training or one.done < 1:
                found.setdefault(one.run_dir, one)
    return list(found.values())


def _training(step: Step, training: int) -> Training:
    config = replace(recipe(step.recipe), seed=step.seed)
    run_dir = default_run_dir(config, second=training > 1)
    done = _done(run_dir, config.training.epochs)
    return Training(
        config=config,
        run_dir=run_dir,
        start_from=default_run_dir(config, second=False) if training > 1 else None,
        done=done,
        seconds=None if step.estimate is None else (1 - done) * step.estimate.seconds,
    )


def _done(run_dir: Path, epochs: int) -> float:
    if not run_dir.exists():
        return 0.0
    folder = RunFolder.open(run_dir)
    if folder.has("scores"):
        return 1.0
    finished = sum(record["event"] == "epoch" for record in folder.journal.records())
    return min(finished / epochs, 0.999)  # its scores are still to be made
