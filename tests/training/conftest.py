"""Jobs on a small text, and scripts in the place of their trainings."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from support.small_text import small_config
from tiedlm.runs.config import RunConfig
from tiedlm.training import launcher
from tiedlm.training.jobs import Job, JobResult


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEDLM_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return small_config(tmp_path / "text")


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., Job]:
    """Makes jobs on a small text, each named by its run folder."""
    config = small_config(tmp_path)

    def make(name: str, *, seed: int = 0, start_from: str | None = None, after: tuple[str, ...] = ()) -> Job:
        start = None if start_from is None else tmp_path / start_from
        return Job(config=replace(config, seed=seed), run_dir=tmp_path / name, start_from=start, after=after)

    return make


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Job's name → Python code that its process runs instead of a training, with the run folder as argument."""
    codes: dict[str, str] = {}
    monkeypatch.setattr(launcher, "prepare_corpora", lambda jobs, progress: None)
    monkeypatch.setattr(Job, "command", lambda job: [sys.executable, "-S", "-c", codes[job.name], str(job.run_dir)])
    return codes


@dataclass
class Recorder:
    """A display that records what it is shown."""

    shown: list[list[JobResult]] = field(default_factory=list)
    is_closed: bool = False

    def message(self, text: str) -> None: ...

    def show(self, results: Sequence[JobResult]) -> None:
        self.shown.append(list(results))

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
