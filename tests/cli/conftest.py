from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from support.runs import train_tiny_run
from support.small_text import write_texts
from tiedlm.cli.main import main
from tiedlm.training import launcher, loop
from tiedlm.training.jobs import JobResult, JobState


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit status."""

    status: int
    output: str
    error: str

    def values(self) -> dict[str, str]:
        """The lines `label: value` of the output."""
        return dict(line.split(": ", 1) for line in self.output.splitlines() if ": " in line)


Command = Callable[..., Answer]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with texts, cache and a finished `run`; not to be changed."""
    folder = tmp_path_factory.mktemp("tiny")
    train_tiny_run(folder)
    return folder


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A folder to work in, with three texts; returns the options that name them."""
    monkeypatch.chdir(tmp_path)
    write_texts(tmp_path)
    return [word for split in ("train", "valid", "test") for word in (f"--corpus.{split}", f"{split}.txt")]


@pytest.fixture
def tiedlm(tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Call the command line in this process, in the tiny run's surroundings."""
    monkeypatch.setenv("TIEDLM_CACHE_DIR", str(tiny / "cache"))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> Answer:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        output, error = capsys.readouterr()
        return Answer(status, output, error)

    return call


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Records the trainings that would be started, instead of training."""
    monkeypatch.setattr(loop, "train", train := Mock())
    return train


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[Any], dict[str, Any]]]:
    """Records what would be launched; jobs whose run folder has scores are finished."""
    calls: list[tuple[list[Any], dict[str, Any]]] = []

    def launch(jobs: list[Any], **options: Any) -> list[JobResult]:
        calls.append((jobs, options))
        states = [JobState.FINISHED if job.is_finished() else JobState.STOPPED for job in jobs]
        return [JobResult(job=job, state=state, reason="kept") for job, state in zip(jobs, states, strict=True)]

    monkeypatch.setattr(launcher, "launch", launch)
    return calls
