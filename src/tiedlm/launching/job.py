"""A training that is wanted, the command line that does it, and what became of it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, final

from tiedlm.checkpoint.folder import RunFolder
from tiedlm.config import ABSENT, differing, from_json
from tiedlm.errors import ArgumentError
from tiedlm.files import read_json
from tiedlm.recipes import recipe
from tiedlm.runs.config import RunConfig


@final
@dataclass(frozen=True, kw_only=True)
class Job:
    """A training to begin, or to go on with where its run folder exists."""

    config: RunConfig
    """The whole config, seed included."""
    run_dir: Path
    """Its run folder."""
    start_from: Path | None = None
    """Run folder whose weights to start from: a second training. Where another job trains it, this one waits."""
    data_dir: Path | None = None
    """Folder with corpora; None looks where `tiedlm.locations` says."""
    config_file: Path | None = None
    """JSON file that the config was read from, before changes; None: the recipe of the config's name."""

    @property
    def name(self) -> str:
        """Return what the job is called in tables."""
        return self.run_dir.name

    def is_begun(self) -> bool:
        """Return whether there is something in the place of the run folder."""
        return self.run_dir.exists() and not (self.run_dir.is_dir() and not any(self.run_dir.iterdir()))

    def is_finished(self) -> bool:
        """Return whether the run is trained to its end and scored.

        Raises:
            RunError: what is in the place of the run folder is none, or damaged.
        """
        return self.is_begun() and RunFolder.open(self.run_dir).has("scores")

    def command(self) -> list[str]:
        """Return program and arguments: those a user would type to begin the training, or to go on with it."""
        words = [sys.executable, "-m", "tiedlm", "train"]
        words += ["--resume", str(self.run_dir)] if self.is_begun() else self._new()
        return words if self.data_dir is None else [*words, "--data-dir", str(self.data_dir)]

    def _new(self) -> list[str]:
        words = [str(self.config_file or self.config.recipe), "--seed", str(self.config.seed)]
        words += [*_options(self._base(), self.config), "--run-dir", str(self.run_dir)]
        return words if self.start_from is None else [*words, "--from", str(self.start_from)]

    def _base(self) -> RunConfig:
        if self.config_file is not None:
            return from_json(RunConfig, read_json(self.config_file))
        return recipe(self.config.recipe)


class State(StrEnum):
    """Where a job is."""

    WAITING = "waiting"
    TRAINING = "training"
    FINISHED = "finished"
    STOPPED = "stopped"
    """Asked to end, and saved; the same job goes on."""
    FAILED = "failed"


@final
@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a job."""

    job: Job
    state: State
    seconds: float = 0.0
    """How long its process ran for this launch; 0 where there was none to run."""
    reason: str | None = None
    """Why it failed, is stopped or did not begin; the last error line of its process, for example."""
    log: Path | None = None
    """What its process printed."""


def _options(base: RunConfig, config: RunConfig) -> list[str]:
    """Return the options after `tiedlm train BASE` that make `config` of `base`, up to the seed."""
    fields = differing(replace(config, seed=base.seed), base)
    if "recipe" in fields:
        raise ArgumentError(
            f"The config's recipe is {config.recipe!r}, but its file holds {base.recipe!r}: name the file it came from."
        )
    if any(ABSENT in pair for pair in fields.values()):
        raise ArgumentError(
            f"The config of {config.recipe!r} holds a model of another kind than what it came from, and no option "
            "changes that: write the config to a JSON file, and name it in the job (`config_file`)."
        )
    return [_option(name, own) for name, (own, _) in fields.items() if not _goes_with_the_corpus(name, own)]


def _goes_with_the_corpus(name: str, value: Any) -> bool:
    """Whether a field is a text file that a corpus of another name has no use for: it goes by naming the corpus."""
    return value is None and name in ("corpus.train", "corpus.valid", "corpus.test")


def _option(name: str, value: Any) -> str:
    section, field = name.replace("_", "-").split(".")
    if isinstance(value, bool):
        return f"--{section}.{'' if value else 'no-'}{field}"
    return f"--{section}.{field}={value}"
