from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from support.small_text import small_config
from tiedlm.config import to_json
from tiedlm.launching.job import Job
from tiedlm.launching.standing import Row

MakeJob = Callable[..., Job]
Scripts = dict[str, str]


@pytest.fixture
def make_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeJob:
    """Jobs on a small text, each named by its run folder."""
    monkeypatch.setenv("TIEDLM_CACHE_DIR", str(tmp_path / "cache"))
    config, file = small_config(tmp_path), tmp_path / "small.json"
    file.write_text(json.dumps(to_json(config)))

    def make(name: str, *, seed: int = 0, start_from: str | None = None) -> Job:
        start = None if start_from is None else tmp_path / start_from
        return Job(config=replace(config, seed=seed), run_dir=tmp_path / name, start_from=start, config_file=file)

    return make


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> Scripts:
    """Job's name → Python code that its process runs in the place of a training, with the run folder as argument."""
    codes: Scripts = {}
    monkeypatch.setattr(Job, "command", lambda job: [sys.executable, "-S", "-c", codes[job.name], str(job.run_dir)])
    return codes


@dataclass
class Seen:
    """A display that keeps what it is told."""

    messages: list[str] = field(default_factory=list)
    shown: list[list[Row]] = field(default_factory=list)
    closed: bool = False

    def message(self, text: str) -> None:
        self.messages.append(text)

    def show(self, rows: Sequence[Row]) -> None:
        self.shown.append(list(rows))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def seen() -> Seen:
    return Seen()
