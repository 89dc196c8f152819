"""Kills a short training at random instants, resumes it, and compares the end with that of one left alone.

    python benchmarks/kill.py --kills 50

Only the command line is used, as a user would. SIGKILL gives a process no chance to tidy up. A quarter of the kills
fall into a process's start, the rest into its training, which saves after every window. When a copy is done before the
number of kills is reached, the next copy begins. Each end must have the same weights to the bit, the same scores and
the same figures of every epoch as the uninterrupted run's, and a journal in which nothing stands twice. Exit status: 0
if so.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from harness import positive

SIZE = {
    "model.units": 100,
    "training.epochs": 4,
    "training.streams": 20,
    "training.steps": 35,
    "runtime.save-seconds": 0,
    "runtime.threads": 1,
}
"""A training of fifty windows, each of them saved, large enough for the compiled loss and cells."""
WORDS = 720
"""With the steps and streams above, 504,000 logits a window."""
IN_THE_START = 0.25
"""Share of the kills that are drawn from a process's start."""
FIGURES = ("epoch", "learning_rate", "train_loss", "train_cross_entropy_perplexity", "valid_perplexity")
"""What an epoch's record must share with the uninterrupted run's; the rest are times."""


class Pace(NamedTuple):
    """How long the uninterrupted run took: until its journal began, and from then to its end."""

    start_seconds: float
    training_seconds: float


@dataclass
class Count:
    """What has happened so far."""

    kills_in_start: int = 0
    kills_in_training: int = 0
    resumes: int = 0
    copies: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """Return how many processes were killed."""
        return self.kills_in_start + self.kills_in_training


class Trainings:
    """The command lines of one short training; texts, cache and runs are in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"TIEDLM_CACHE_DIR": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
        draws = random.Random(1)
        words = [f"word{number}" for number in range(WORDS)]
        for split, lines in (("train", 400), ("valid", 40), ("test", 40)):
            sentences = [" ".join(draws.choices(words, k=20)) for _ in range(lines)]
            sentences += [" ".join(words)] if split == "train" else []  # each word stands there
            (folder / f"{split}.txt").write_text("\n".join(sentences) + "\n")

    def process(self, run: Path) -> subprocess.Popen[str]:
        """Start the training of `run`, or go on with it where its folder exists."""
        new = [f"--corpus.{split}={self.folder / split}.txt" for split in ("train", "valid", "test")]
        new += [f"--{name}={value}" for name, value in SIZE.items()] + [f"--run-dir={run}"]
        options = ["--resume", str(run)] if run.exists() else ["text-small-real", *new]
        command = [sys.executable, "-m", "tiedlm", "train", *options]
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )


def uninterrupted(trainings: Trainings, run: Path) -> Pace:
    """Train a run without a kill and return how long it took."""
    began = time.monotonic()
    process = trainings.process(run)
    wait_for_news(process, run, before=0)
    start_seconds = time.monotonic() - began
    finish(process)
    return Pace(start_seconds, time.monotonic() - began - start_seconds)


def wait_for_news(process: subprocess.Popen[str], run: Path, before: int) -> None:
    """Wait until the journal has changed since it was `before`, or the process has ended."""
    while process.poll() is None and changed(run) == before:
        time.sleep(0.005)


def changed(run: Path) -> int:
    """Return when the journal was last changed; 0 while it is empty or not there."""
    try:
        status = (run / "journal.jsonl").stat()
    except FileNotFoundError:
        return 0
    return status.st_mtime_ns if status.st_size else 0


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for the end, which must be a good one."""
    _, message = process.communicate()
    if process.returncode != 0:
        sys.exit(f"A training ended with status {process.returncode}:\n{message}")


def killed(process: subprocess.Popen[str], run: Path, pace: Pace, draws: random.Random, count: Count) -> bool:
    """Kill a process at a random instant and count it; return False where it ended before."""
    before, in_the_start = changed(run), draws.random() < IN_THE_START
    if not in_the_start:
        wait_for_news(process, run, before)
    try:
        process.wait(draws.uniform(0, pace.start_seconds if in_the_start else pace.training_seconds))
    except subprocess.TimeoutExpired:
        process.kill()
    process.wait()
    if process.returncode != -signal.SIGKILL:
        finish(process)
        return False
    process.communicate()
    count.kills_in_start += changed(run) == before
    count.kills_in_training += changed(run) != before
    return True


def train_under_fire(
    trainings: Trainings, run: Path, pace: Pace, kills: int, draws: random.Random, count: Count
) -> None:
    """Train a run to its end while its processes are killed, as long as fewer than `kills` were."""
    count.copies += 1
    while True:
        count.resumes += run.exists()
        process = trainings.process(run)
        if count.kills >= kills:
            return finish(process)
        if not killed(process, run, pace, draws, count):
            return None


def faults(run: Path, expected: Path) -> list[str]:
    """Return in what a run differs from the uninterrupted one, and what stands twice in its journal."""
    actual, truth = contents(run), contents(expected)
    faults = [f"{what} differ" for what in truth if actual[what] != truth[what]]
    lines = (run / "journal.jsonl").read_text().splitlines()
    double = [line for line, times in Counter(lines).items() if times > 1]
    events = Counter(json.loads(line)["event"] for line in lines)
    if double or events["start"] != 1 or events["end"] != 1:
        faults.append(f"the journal holds double lines: {double or dict(events)}")
    return [f"{run.name}: {fault}" for fault in faults]


def contents(run: Path) -> dict[str, Any]:
    """Return the bytes of the weights, the scores, and `FIGURES` of every epoch."""
    record = json.loads((run / "run.json").read_bytes())
    epochs = [json.loads(line) for line in (run / "journal.jsonl").read_bytes().splitlines()]
    figures = [[epoch[name] for name in FIGURES] for epoch in epochs if epoch["event"] == "epoch"]
    weights = (run / record["files"]["weights"]["name"]).read_bytes()
    return {"weights": weights, "scores": record["scores"], "figures of the epochs": figures}


def kill_and_compare(folder: Path, kills: int, seed: int) -> Count:
    """Do it all, in an empty folder, and return what happened."""
    trainings, draws, count = Trainings(folder), random.Random(seed), Count()
    alone = folder / "uninterrupted"
    pace = uninterrupted(trainings, alone)
    count.faults += faults(alone, alone)
    while count.kills < kills:
        run = folder / f"copy-{count.copies + 1}"
        train_under_fire(trainings, run, pace, kills, draws, count)
        count.faults += faults(run, alone)
        print(f"{run.name}: done, {count.kills} kills so far", flush=True)
    return count


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=positive, default=50, help="processes to kill (default: 50)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the instants (default: 0)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        count = kill_and_compare(Path(folder), options.kills, options.seed)
    for fault in count.faults:
        print(fault)
    print(
        f"kills {count.kills} ({count.kills_in_start} in the start, {count.kills_in_training} in training), resumes "
        f"{count.resumes}, runs trained to the end {count.copies}, equal to the bit: {'no' if count.faults else 'yes'}"
    )
    return 1 if count.faults else 0


if __name__ == "__main__":
    sys.exit(main())
