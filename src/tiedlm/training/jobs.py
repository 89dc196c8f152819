"""Many trainings at once: what each job is, how far it is, and what is refused before the first process starts.

    jobs = [Job(config=replace(config, seed=seed), run_dir=Path("runs", f"{config.recipe}-seed-{seed}")) ...]
    results = launch(jobs, budget_seconds=540)                     # training.launcher

A job holds nothing that the run folders do not: killed in any way and launched again with the same jobs, the unfinished
ones resume and the finished ones are left alone. Imports no torch.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import final

from tiedlm.config import differing
from tiedlm.errors import ArgumentError, RunError
from tiedlm.runs.config import RunConfig
from tiedlm.runs.folder import RunFolder

MAX_SEEDS = 1000
"""In one list: more are a typing mistake."""


@final
@dataclass(frozen=True, kw_only=True)
class Job:
    """A training to begin, or to resume where its run folder exists."""

    config: RunConfig
    run_dir: Path
    start_from: Path | None = None
    """Run folder whose weights to start from: a second training. Where another job trains it, this one waits."""
    data_dir: Path | None = None
    """Folder with corpora; None looks where `tiedlm.files` says."""
    after: tuple[str, ...] = ()
    """Arguments of a `tiedlm` command that runs once the training is finished, as in ("publish", "runs/a"). It runs
    whenever the job is launched, so it has to be one that may be repeated."""

    @property
    def name(self) -> str:
        return self.run_dir.name

    @property
    def log(self) -> Path:
        """Return the file for what its processes print: beside the run folders, hidden from `runs/*`."""
        return self.run_dir.parent / ".logs" / f"{self.name}.log"

    @property
    def config_file(self) -> Path:
        return self.log.with_suffix(".json")

    def is_begun(self) -> bool:
        return any(self.run_dir.iterdir()) if self.run_dir.is_dir() else self.run_dir.exists()

    def is_finished(self) -> bool:
        """Return whether the run is trained to its end and scored; a RunError as `RunFolder.open`."""
        return self.is_begun() and RunFolder.open(self.run_dir).is_finished

    def command(self) -> list[str]:
        """Return program and arguments that begin the training from `config_file`, or resume it."""
        words = [sys.executable, "-m", "tiedlm", "train"]
        if self.is_begun():
            words += ["--resume", str(self.run_dir)]
        else:
            words += [str(self.config_file), "--run-dir", str(self.run_dir)]
            words += [] if self.start_from is None else ["--from", str(self.start_from)]
        return words if self.data_dir is None else [*words, "--data-dir", str(self.data_dir)]


class JobState(StrEnum):
    """Where a job is."""

    WAITING = "waiting"
    TRAINING = "training"
    FINISHED = "finished"
    STOPPED = "stopped"
    """Asked to end, and saved; the same job resumes."""
    FAILED = "failed"


@final
@dataclass(frozen=True, kw_only=True)
class EpochSummary:
    """The epochs of a run that are done; figures are those of the last one."""

    epoch: int
    train_perplexity: float
    """Of the cross-entropy alone, dropout on."""
    valid_perplexity: float
    best_valid_perplexity: float
    """The best of all epochs, whose weights are kept."""
    words_per_second: float
    seconds: float
    """Time of the epoch, validation included."""
    time_unix: float
    """When it ended."""

    @classmethod
    def of_run(cls, run_dir: Path) -> EpochSummary | None:
        """Return the summary of a run by its journal; None before the first epoch is done."""
        epochs = [record for record in RunFolder.open(run_dir).journal() if record["event"] == "epoch"]
        if not epochs:
            return None
        last = epochs[-1]
        return cls(
            epoch=last["epoch"],
            train_perplexity=last["train_cross_entropy_perplexity"],
            valid_perplexity=last["valid_perplexity"],
            best_valid_perplexity=min(record["valid_perplexity"] for record in epochs),
            words_per_second=last["words_per_second"],
            seconds=last["seconds"],
            time_unix=last["time_unix"],
        )

    def seconds_left(self, epochs: int, since_unix: float, now_unix: float) -> float:
        """Return an estimate of the time to the end, for a process that has worked on the run since `since_unix`."""
        worked = now_unix - max(self.time_unix, since_unix)
        return max(0.0, (epochs - self.epoch) * self.seconds - worked)


@final
@dataclass(frozen=True, kw_only=True)
class JobResult:
    """What has become of a job, or where it is now."""

    job: Job
    state: JobState
    seconds: float = 0.0
    """How long its processes ran for this launch; 0 where there was none to run."""
    reason: str | None = None
    """Why it failed, is stopped or did not begin; the last error line of its process, for example."""
    log: Path | None = None
    """What its processes printed."""
    summary: EpochSummary | None = None
    """None before the first epoch is done."""
    seconds_left: float | None = None
    """Estimate, while it is trained; None before there is one."""


def check_jobs(jobs: Sequence[Job]) -> None:
    """Refuse an empty list, two jobs of one run folder, and run folders that hold another training.

    Raises:
        ArgumentError: no job, or two of one run folder.
        RunError: a run folder is of another config, or is none, or a run to start from is missing.
    """
    if not jobs:
        raise ArgumentError("There is nothing to train: give one job or more.")
    counts = Counter(os.path.abspath(job.run_dir) for job in jobs)
    folder, count = counts.most_common(1)[0]
    if count > 1:
        raise ArgumentError(f"{count} trainings are to go to one run folder, {folder}: give each a folder of its own.")
    for job in jobs:
        if not job.is_begun():
            if job.start_from is not None and os.path.abspath(job.start_from) not in counts:
                RunFolder.open(job.start_from)
            continue
        run = RunFolder.open(job.run_dir)
        if fields := differing(run.config(session=0), job.config):
            changes = "; ".join(
                f"{name} is {there!r} there and {here!r} here" for name, (there, here) in fields.items()
            )
            raise RunError(
                f"{job.run_dir} holds a run of another config: {changes}. Remove the folder, or train in another one "
                "(the folder for runs is named by TIEDLM_RUNS_DIR)."
            )
        if (run.record.parent is None) != (job.start_from is None):
            kinds = ("a second training", "one from random weights")
            there, here = kinds if job.start_from is None else kinds[::-1]
            raise RunError(f"{job.run_dir} holds {there}, but {here} is requested. Choose another folder.")


def prepare_corpora(jobs: Sequence[Job], progress: Callable[[str], None]) -> None:
    """Find, fetch and encode each corpus once, so that a missing text is one error before anything starts.

    Runs that are begun or finished must be of the same text: perplexities on different texts have no mean.

    Raises:
        CorpusError: a text is missing or unusable.
        RunError: a run was trained on another text.
    """
    from tiedlm.data.corpus import prepare  # here, since it loads numpy
    from tiedlm.runs.load import check_same_corpus

    for source in dict.fromkeys((job.config.corpus, job.data_dir) for job in jobs):
        corpus = prepare(source[0], data_dir=source[1], progress=progress)
        for job in jobs:
            if (job.config.corpus, job.data_dir) == source and job.is_begun():
                check_same_corpus(RunFolder.open(job.run_dir), corpus)


def parse_seeds(text: str) -> list[int]:
    """Return the seeds of a list such as `0-4`, `0,2,5` or `0-2,7`, in its order.

    Raises:
        ArgumentError: another form, a descending range, a repeated seed, or more than 1,000.
    """
    seeds: list[int] = []
    for part in text.replace(" ", "").split(","):
        match = re.fullmatch(r"(\d{1,18})(?:-(\d{1,18}))?", part, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        seeds += range(first, min(last, first + MAX_SEEDS) + 1)
        if last < first or len(seeds) > MAX_SEEDS or len(set(seeds)) < len(seeds):
            raise ArgumentError(
                f"{text[:80]!r} is not a list of seeds. Write up to {MAX_SEEDS:,} different seeds and ascending "
                "ranges, as in 0-4 or 0,2,5."
            )
    return seeds
