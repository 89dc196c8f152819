"""The runs behind Figure 1: the distance of the tables against beta (tau = 10), and against tau (beta = 1).

Every finished run is a file of its own under `results/figure1/runs/`, written whole or not at all, and the rest of the
folder is made of them after each. A run under way keeps its state after every epoch in the folder for runs, hidden. So
the work may be cut at any instant and goes on where it stopped, more runs may be added, and several processes may share
it: each takes runs that no other one is at.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple, final

from filelock import FileLock, Timeout

from tiedlm import locations
from tiedlm.checkpoint.saving import saving
from tiedlm.config import to_json
from tiedlm.data.corpus import Corpus, prepare
from tiedlm.data.sources import CorpusConfig
from tiedlm.errors import ArgumentError
from tiedlm.files import json_sha256, write_json
from tiedlm.paper.figure1_folder import write_folder
from tiedlm.paper.figure1_records import FORMAT, TRAINING, Setting, read_records, record_path, settings
from tiedlm.paper.figure1_watch import OutOfTimeError, Watch
from tiedlm.paper.theory_run import run_theory
from tiedlm.paper.theory_setting import TheoryConfig
from tiedlm.paper.theory_stretch import choose_stretch
from tiedlm.training.display import Display
from tiedlm.training.environment import describe

FOLDER = ".figure1"
"""Where states of runs under way are, in the folder for runs."""


class Job(NamedTuple):
    """One run of one point."""

    run: int
    point: Setting
    config: TheoryConfig

    def __str__(self) -> str:
        return f"run {self.run}, {self.point}"


@final
@dataclass(frozen=True, kw_only=True)
class Left:
    """What a call came to."""

    finished: int
    """Runs that it finished."""
    missing: int
    """Runs that are still missing."""
    out_of_time: bool


def measure_figure1(
    runs: Sequence[int],
    out: Path,
    data_dir: Path | None,
    display: Display,
    *,
    training: TheoryConfig = TRAINING,
    budget_seconds: float | None = None,
) -> Left:
    """Train what is missing of these runs of every point, and make the result folder of all that are finished.

    Run k of every point is trained on the same stretch of text and from the same initial weights. The runs are made in
    the order that they are named in, all points of the first one before the next.

    Args:
        runs: numbers of the runs, one or more.
        out: the folder of the figure's results; made where missing.
        data_dir: where the Penn Treebank is; None looks in the usual data folder.
        display: is told what has been done.
        training: how to train; temperature and beta are those of the points.
        budget_seconds: when to stop, from now, after the epoch under way; None: no limit.

    Raises:
        ArgumentError: no run.
        RunError: a record under `out` or a state is damaged, or of another training; the disk is full or fails.
        CorpusError: the corpus is missing or unusable.
    """
    if not runs:
        raise ArgumentError("Figure 1 needs one run or more of each point.")
    deadline = None if budget_seconds is None else time.monotonic() + budget_seconds
    finished, out_of_time = 0, False
    try:
        for job in _missing(runs, out, training):
            _check_time(deadline)
            finished += _finish(job, out, data_dir, display, deadline)
            _write(out, training, runs)
    except OutOfTimeError:
        out_of_time = True
    _write(out, training, runs)
    return Left(finished=finished, missing=len(_missing(runs, out, training)), out_of_time=out_of_time)


def _check_time(deadline: float | None) -> None:
    if deadline is not None and time.monotonic() >= deadline:
        raise OutOfTimeError


def _write(out: Path, base: TheoryConfig, runs: Sequence[int]) -> None:
    """Make the result folder of all records; one process after the other."""
    lock = locations.runs_dir() / FOLDER / "folder.lock"
    with saving(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        write_folder(out, base, read_records(out, base), runs)


def _missing(runs: Sequence[int], out: Path, base: TheoryConfig) -> list[Job]:
    there = read_records(out, base)
    jobs = [Job(run, point, _config(base, point)) for run in runs for point in settings()]
    return [job for job in jobs if (job.point, job.run) not in there]


def _config(base: TheoryConfig, point: Setting) -> TheoryConfig:
    return replace(base, temperature=point.tau, beta=point.beta)


def _finish(job: Job, out: Path, data_dir: Path | None, display: Display, deadline: float | None) -> bool:
    """Train one run and write its record; return whether it did: another process may be at it, or have done it."""
    record = record_path(out, job.point, job.run)
    corpus = prepare(CorpusConfig(name="ptb"), data_dir=data_dir, progress=display.message)
    with _taken(_state_path(job, corpus)) as state:
        if state is None or record.exists():
            return False
        _train(job, corpus, record, Watch(str(job), job.config.epochs, state, display, deadline))
        state.unlink(missing_ok=True)
    return True


def _train(job: Job, corpus: Corpus, path: Path, watch: Watch) -> None:
    stretch = choose_stretch(corpus.splits["train"].ids, job.config.text_words, corpus.vocabulary.end_id, job.run)
    environment = {name: value for name, value in describe("cpu").items() if name != "command"}  # it may name folders
    outcome = run_theory(job.config, stretch, job.run, progress=watch, state=watch.state())
    record = {"format": FORMAT, "config": to_json(job.config), "run": job.run, "seconds": watch.seconds()}
    record |= {"environment": {**environment, "corpus": corpus.provenance}, "outcome": asdict(outcome)}
    with saving(path):
        write_json(path, record)
    watch.tell(f"{job}: distance {outcome.distance:.4f}")


def _state_path(job: Job, corpus: Corpus) -> Path:
    """Return where the state of a run under way is: a name of its own for each training and text."""
    texts = {split: entry["text_sha256"] for split, entry in corpus.provenance["splits"].items()}
    what = json_sha256([to_json(job.config), texts])[:12]
    return locations.runs_dir() / FOLDER / f"{record_path(Path(), job.point, job.run).stem}-{what}.safetensors"


@contextmanager
def _taken(path: Path) -> Iterator[Path | None]:
    """Yield the path of a state whose run no other process is at, for the block; None where one is."""
    with saving(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield None
        return
    try:
        yield path
    finally:
        path.with_suffix(".lock").unlink(missing_ok=True)
        lock.release()
