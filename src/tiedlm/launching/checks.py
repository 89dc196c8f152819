"""What can be refused before the first process starts: nothing is trained where one of the jobs could not be."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tiedlm.checkpoint.folder import RunFolder
from tiedlm.config import differing, from_json
from tiedlm.errors import ArgumentError, RunError
from tiedlm.launching.job import Job
from tiedlm.runs.config import RunConfig


def check_jobs(jobs: Sequence[Job]) -> None:
    """Refuse jobs that are none, share a run folder, or whose run folder holds another training.

    Raises:
        ArgumentError: no job, or two of one run folder.
        ConfigError: there is no recipe of a config's name.
        RunError: something else is in the place of a run folder, or a run to start from is missing.
    """
    if not jobs:
        raise ArgumentError("There is nothing to train: give one job or more.")
    folder, count = Counter(map(place, (job.run_dir for job in jobs))).most_common(1)[0]
    if count > 1:
        raise ArgumentError(f"{count} trainings are to go to one run folder, {folder}: give each a folder of its own.")
    places = {place(job.run_dir) for job in jobs}
    for job in jobs:
        if job.is_begun():
            _check_is_of(job)
            continue
        job.command()  # which asks for the recipe, or reads the config file
        if job.start_from is not None and place(job.start_from) not in places:
            RunFolder.open(job.start_from)


def place(path: Path) -> str:
    """Return a path in the one way of writing it that can be compared."""
    return os.path.abspath(path)


def prepare_corpora(jobs: Sequence[Job], tell: Callable[[str], None]) -> None:
    """Find, fetch and encode each corpus once, so that a text that is missing is told once, and before all else.

    Runs that are begun or finished must be of the text that is found: figures of different texts have no mean.

    Raises:
        CorpusError: a text is missing or unusable.
        RunError: a run was trained on another text.
    """
    from tiedlm.data.corpus import prepare  # here, since it loads numpy
    from tiedlm.evaluation.run_corpus import check_same_corpus

    for corpus, data_dir in dict.fromkeys((job.config.corpus, job.data_dir) for job in jobs):
        found = prepare(corpus, data_dir=data_dir, progress=tell)
        for job in jobs:
            if (job.config.corpus, job.data_dir) == (corpus, data_dir) and job.is_begun():
                check_same_corpus(RunFolder.open(job.run_dir), found)


def _check_is_of(job: Job) -> None:
    folder = RunFolder.open(job.run_dir)
    own = from_json(RunConfig, folder.read_json("config"), f"{job.run_dir}: config")
    fields = differing(own, job.config)
    if fields:
        told = "; ".join(f"{name} is {there!r} there and {here!r} here" for name, (there, here) in fields.items())
        raise RunError(
            f"{job.run_dir} holds a run of another config: {told}. Remove the folder, or train in another one "
            "(the folder for runs is named by TIEDLM_RUNS_DIR)."
        )
    if folder.has("environment") and (folder.read_json("environment")["parent"] is None) != (job.start_from is None):
        kinds = ("a second training", "one from random weights")
        there, here = kinds if job.start_from is None else kinds[::-1]
        raise RunError(f"{job.run_dir} holds {there}, but {here} is asked for. Choose another folder.")
