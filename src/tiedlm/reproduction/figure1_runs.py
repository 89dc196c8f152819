"""The runs behind Figure 1: the distance of the tables against beta (tau = 10), and against tau (beta = 1).

Every finished run is a file of its own under `<out>/runs/`, written whole or not at all; `<out>/points.json` is made
of them. So the work may be cut at any instant and goes on where it stopped, more runs may be added, and several
processes may share it: each takes runs that no other one is at.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import torch
from filelock import FileLock, Timeout

from tiedlm.checkpoint.saving import saving
from tiedlm.config import to_json
from tiedlm.corpora.config import CorpusConfig
from tiedlm.corpora.prepare import Corpus, prepare
from tiedlm.errors import ArgumentError
from tiedlm.files import write_json
from tiedlm.reproduction.figure1_records import FORMAT, Point, panels, read_record, record_path, write_points
from tiedlm.reproduction.theory_run import choose_stretch, run_theory
from tiedlm.reproduction.theory_setting import TheoryConfig
from tiedlm.training.display import Display
from tiedlm.training.environment import describe


class Job(NamedTuple):
    """One run of one point."""

    run: int
    point: Point
    config: TheoryConfig


def measure_figure1(
    runs: int,
    out: Path,
    data_dir: Path | None,
    display: Display,
    *,
    device: str = "cpu",
    training: TheoryConfig | None = None,
) -> Path | None:
    """Train what is missing of `runs` runs a point; return `points.json`, or None while other processes have runs left.

    Run k of every point is trained on the same stretch of text and from the same initial weights. The runs are made in
    the order of k.

    Args:
        runs: runs a point, 1 or more.
        out: the folder of the figure's results; made where missing.
        data_dir: where the Penn Treebank is; None looks in the usual data folder.
        display: is told what has been done.
        device: where to train, `cpu` or `cuda`.
        training: how to train; temperature and beta are those of the points.

    Raises:
        ArgumentError: less than one run, or no such device.
        RunError: a record under `out` is damaged, or of another training; the disk is full or fails.
        CorpusError: the corpus is missing or unusable.
    """
    if runs < 1:
        raise ArgumentError(f"runs is {runs}, but must be 1 or more.")
    if device == "cuda" and not torch.cuda.is_available():
        raise ArgumentError("The device cuda was asked for, but PyTorch finds none here. Train on the cpu.")
    jobs, corpus = _jobs(runs, training or TheoryConfig(temperature=1.0, beta=1.0)), None
    for job in jobs:
        with _taken(record_path(out, job.point, job.run)) as path:
            if path is not None and not path.exists():
                corpus = corpus or prepare(CorpusConfig(name="ptb"), data_dir=data_dir, progress=display.message)
                display.message(_run(job, corpus, path, device))
    if missing := sum(not record_path(out, job.point, job.run).exists() for job in jobs):
        display.message(f"{missing} runs are left to other processes. Give the command again when they have ended.")
        return None
    records = {(job.point, job.run): read_record(out, job.config, job.point, job.run) for job in jobs}
    return write_points(out, records, runs)


def _jobs(runs: int, base: TheoryConfig) -> list[Job]:
    points = dict.fromkeys(point for panel in panels().values() for point in panel)
    configs = {point: replace(base, temperature=point.tau, beta=point.beta) for point in points}
    return [Job(run, point, configs[point]) for run in range(runs) for point in points]


def _run(job: Job, corpus: Corpus, path: Path, device: str) -> str:
    """Train one run, write its record, and return a line that tells of it."""
    ids = corpus.splits["train"].ids
    stretch = choose_stretch(ids, job.config.text_words, corpus.vocabulary.end_id, job.run)
    outcome = run_theory(job.config, stretch, job.run, device=device)
    environment = {name: value for name, value in describe(device).items() if name != "command"}  # it may name folders
    environment["corpus"] = corpus.provenance
    record = {"format": FORMAT, "config": to_json(job.config), "run": job.run, "environment": environment}
    with saving(path):
        write_json(path, record | {"outcome": asdict(outcome)})
    return f"run {job.run}, tau {job.point.tau:g}, beta {job.point.beta:g}: distance {outcome.distance:.4f}"


@contextmanager
def _taken(path: Path) -> Iterator[Path | None]:
    """Yield the path of a record that no other process is at, for the block; None where one is."""
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
