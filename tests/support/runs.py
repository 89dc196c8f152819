"""Runs: folders put together by hand, others trained in a moment, and launches in this process."""

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from support.small_text import small_config
from tiedlm.config import from_json, to_json
from tiedlm.data.sources import source_of
from tiedlm.data.text import Vocabulary
from tiedlm.errors import TiedlmError
from tiedlm.recipes import recipe
from tiedlm.runs.config import RunConfig
from tiedlm.runs.folder import Progress, RunFolder, RunRecord, Session
from tiedlm.training.display import EpochReport, SilentDisplay, WindowReport
from tiedlm.training.jobs import Job, JobResult, JobState, check_jobs

ENVIRONMENT = {"processor": "a processor", "device": "cpu", "threads": 1}
CORPUS = {
    "name": "ptb",
    "splits": {split: {"text_sha256": "ab" * 32} for split in ("train", "valid", "test")},
    "vocabulary": {"size": 4, "sha256": "ab" * 32},
}
SCORE = {"perplexity": 80.0, "nll_nats": 4.0, "words": 3}
SCORES = {"valid": SCORE, "test": SCORE, "protocol": "every word once"}
VOCABULARY = Vocabulary.from_counts({"<eos>": 3, "the": 2})


def write_run(
    path: Path,
    config: RunConfig | dict[str, Any] | None = None,
    *,
    vocabulary: Vocabulary = VOCABULARY,
    environment: dict[str, Any] = ENVIRONMENT,
    corpus: dict[str, Any] = CORPUS,
    progress: Progress | None = None,
    state: bytes = b"state",
    weights: bytes | None = None,
    events: Iterable[dict[str, Any]] = (),
    **fields: Any,
) -> RunFolder:
    """A run folder of the config (of a recipe, by default); `fields` are further ones of its record, such as scores."""
    whole = from_json(RunConfig, config) if isinstance(config, dict) else config or recipe("ptb-small-re")
    session = Session(epoch=1, window=0, runtime=whole.runtime, environment=environment)
    fields = {"progress": progress or Progress(), "sessions": (session,), "corpus": corpus, **fields}
    return RunFolder.create(path, whole, vocabulary, RunRecord(**fields), state=state, weights=weights, events=events)


def log_and_save(folder: RunFolder, epoch: int, **changes: Any) -> None:
    """The event and the save that end an epoch."""
    with folder.lock():
        folder.log("epoch", Progress(epoch=epoch), seconds=0.5)
        folder.save(progress=Progress(epoch=epoch + 1), **changes)


# ---- as a finished training leaves them

RECIPE = "ptb-small-re"
EPOCHS = recipe(RECIPE).training.epochs


def recipe_config(seed: int = 0, name: str = RECIPE, threads: int | None = 1) -> RunConfig:
    """The recipe's config with another seed and number of threads."""
    whole = recipe(name)
    return replace(whole, seed=seed, runtime=replace(whole.runtime, threads=threads))


def environment(parent: dict[str, Any] | None = None, threads: int = 1, corpus: str = "ptb") -> dict[str, Any]:
    """What a training writes down of the machine and the corpus."""
    source = source_of(corpus)
    splits = {} if source is None else {name: {"text_sha256": file.sha256} for name, file in source.files.items()}
    return {
        "tiedlm": "0.1.0",
        "processor": "a processor",
        "device": "cpu",
        "threads": threads,
        "commit": "c0ffee",
        "command": "tiedlm train ptb-small-re --run-dir /somebody/runs/it",
        "started_unix": 1.5,
        "corpus": {"name": corpus, "splits": splits, "vocabulary": {"size": 9, "sha256": "ab" * 32}},
        "parent": parent,
    }


def score(split: str, perplexity: float, corpus: str = "ptb") -> dict[str, Any]:
    """The score of a whole split, of 1,000 words where its text is not a published one."""
    source = source_of(corpus)
    words = 1_000 if source is None else source.files[split].scored_words
    nll = math.log(perplexity) * words
    return {"perplexity": math.exp(nll / words), "nll_nats": nll, "words": words, "unknown": 7}


def scores(valid: float = 89.9, test: float = 85.1) -> dict[str, Any]:
    """The scores of a run."""
    return {"valid": score("valid", valid), "test": score("test", test), "protocol": "every word once"}


def journal(epochs: int = EPOCHS) -> list[dict[str, Any]]:
    """The records of a training that was interrupted once."""
    records: list[dict[str, Any]] = [{"event": "start", "time_unix": 1.5}]
    for epoch in range(1, epochs + 1):
        records += [{"event": "window", "epoch": epoch, "window": window} for window in (1, 2)]
        reached = {"train_cross_entropy_perplexity": 210.0 - epoch, "valid_perplexity": 200.0 - epoch}
        took = {"words_per_second": 5e5, "seconds": 2.0, "time_unix": 1.5 + 2.0 * epoch}
        records.append({"event": "epoch", "epoch": epoch, **reached, **took})
    return [*records[:3], {"event": "resume", "time_unix": 9.5}, *records[3:], {"event": "end", "total_seconds": 2.0}]


def make_run(
    path: Path,
    *,
    weights: bytes = b"weights",
    parent: RunFolder | None = None,
    config: dict[str, Any] | None = None,
    records: list[dict[str, Any]] | None = None,
    scored: dict[str, Any] | None = None,
    **changes: Any,
) -> RunFolder:
    """A finished run; `changes` replace fields of the environment."""
    origin = parent and {
        "path": str(parent.path),
        "recipe": parent.config().recipe,
        "seed": parent.config().seed,
        "weights_sha256": hashlib.sha256(parent.read("weights")).hexdigest(),
    }
    told = environment(origin) | changes
    return write_run(
        path,
        to_json(recipe_config()) if config is None else config,
        corpus=told.pop("corpus"),
        parent=told.pop("parent"),
        environment=told,
        weights=weights,
        events=journal() if records is None else records,
        scores=scored or scores(),
    )


# ---- trained in a moment


class Recorder(SilentDisplay):
    """Keeps what it is shown, in its order; may act after every window, or after one, (epoch, window)."""

    def __init__(self, act: Callable[[], object] = lambda: None, at: tuple[int, int] | None = None) -> None:
        self.shown: list[str | WindowReport | EpochReport] = []
        self.act, self.at = act, at

    def message(self, text: str) -> None:
        self.shown.append(text)

    def window(self, report: WindowReport) -> None:
        self.shown.append(report)
        if self.at in (None, (report.epoch, report.window)):
            self.act()

    def epoch(self, report: EpochReport) -> None:
        self.shown.append(report)

    @property
    def windows(self) -> list[WindowReport]:
        return [each for each in self.shown if isinstance(each, WindowReport)]


def quick_config(folder: Path) -> RunConfig:
    """The small config with two epochs, saved after each and not in between."""
    config = small_config(folder).with_epochs(2)
    return replace(config, runtime=replace(config.runtime, save_seconds=300.0))


def train_tiny_run(folder: Path) -> RunFolder:
    """A finished run in `folder/run`, its texts and cache beside it; the last line of the test has an unknown word."""
    from tiedlm.training import loop  # here, since it loads torch, which most of these folders do without

    config = quick_config(folder)
    with (folder / "test.txt").open("a") as file:
        file.write("the dog zigzags\n")
    return loop.train(config, folder / "run", cache_dir=folder / "cache", display=SilentDisplay())


# ---- a launch in this process


def launch_here(jobs: Sequence[Job], **options: Any) -> list[JobResult]:
    """What `launch` does with jobs."""
    from tiedlm.training import loop

    check_jobs(jobs)
    results = []
    for job in jobs:
        try:
            if not job.is_begun():
                loop.train(job.config, job.run_dir)
            elif not job.is_finished():
                loop.resume(job.run_dir)
            results.append(JobResult(job=job, state=JobState.FINISHED))
        except TiedlmError as error:
            results.append(JobResult(job=job, state=JobState.FAILED, reason=str(error), log=job.log))
    return results
