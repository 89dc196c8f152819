"""A training goes on elsewhere: from the same state, on the record, and with nothing else changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from support.run_folders import SCORES
from support.small_text import small_config
from support.tiny_run import Silence
from tiedlm.errors import ConfigError, RunError
from tiedlm.runs.config import Precision, RunConfig, RuntimeConfig
from tiedlm.runs.folder import RunFolder
from tiedlm.training import start
from tiedlm.training.display import WindowReport
from tiedlm.training.loop import resume, train
from tiedlm.training.start import create_run

ELSEWHERE = RuntimeConfig(precision="bfloat16", threads=2, save_seconds=60.0)


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return small_config(tmp_path / "text")


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """PyTorch's threads as they would be set; they are left alone."""
    threads = [torch.get_num_threads()]
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    return threads


def stopped(config: RunConfig, tmp_path: Path) -> Path:
    """The folder of a training that was stopped in its second epoch."""
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", cache_dir=tmp_path / "cache", display=StopsInTheSecondEpoch())
    return tmp_path / "run"


def goes_on(tmp_path: Path, runtime: RuntimeConfig | None = None, display: Silence | None = None) -> RunFolder:
    return resume(tmp_path / "run", runtime=runtime, cache_dir=tmp_path / "cache", display=display or Silence())


def test_another_runtime_is_recorded_and_stays(config: RunConfig, tmp_path: Path) -> None:
    before = RunFolder.open(stopped(config, tmp_path))
    with pytest.raises(KeyboardInterrupt):
        goes_on(tmp_path, ELSEWHERE, StopsAtOnce())
    after = RunFolder.open(before.path)
    assert before.config() == config
    assert after.config() == replace(config, runtime=ELSEWHERE)
    assert after.read("config") == before.read("config")
    first, second = after.record.sessions
    assert first == before.record.sessions[0]
    assert (second.epoch, second.environment["threads"]) == (2, 2)
    assert "command" not in second.environment
    events = [event["event"] for event in after.journal()]
    assert events[-1] == "move"
    folder = goes_on(tmp_path)  # nothing changes again
    assert folder.record.sessions == after.record.sessions
    assert folder.config().runtime == ELSEWHERE


class StopsInTheSecondEpoch(Silence):
    """A display that ends the training between two windows."""

    def window(self, report: WindowReport) -> None:
        if report.epoch == 2 and report.window == 5:
            raise KeyboardInterrupt


class StopsAtOnce(Silence):
    """A display that ends the training after one window."""

    def window(self, report: WindowReport) -> None:
        raise KeyboardInterrupt


def test_all_else_goes_on_as_it_was_to_the_bit(config: RunConfig, tmp_path: Path) -> None:
    """Resumed within an epoch with a runtime that no sum depends on, it ends with the weights of one left alone."""
    whole = train(config, tmp_path / "whole", cache_dir=tmp_path / "cache", display=Silence())
    stopped(config, tmp_path)
    moved = goes_on(tmp_path, replace(config.runtime, save_seconds=60.0))
    assert moved.read("weights") == whole.read("weights")
    assert moved.record.scores == whole.record.scores
    assert moved.record.sessions[1].epoch == 2


@pytest.mark.parametrize("what", ["processor", "commit"])
def test_where_a_training_goes_on_is_recorded_once_if_it_is_another_place(
    what: str, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(config, tmp_path)
    monkeypatch.setattr(start, what, lambda: "another")
    with pytest.raises(KeyboardInterrupt):
        goes_on(tmp_path, display=StopsAtOnce())
    folder = goes_on(tmp_path)
    first, second = folder.record.sessions
    assert (second.epoch, second.runtime) == (2, config.runtime)
    assert second.environment[what] == "another" != first.environment[what]
    events = [event["event"] for event in folder.journal()]
    assert events.count("move") == 1
    assert events.index("move") < events.index("resume")


class Spoken(Silence):
    """Keeps what is said, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def message(self, text: str) -> None:
        self.said.append(text)

    def window(self, report: WindowReport) -> None:
        self.said.append("window")


def test_what_computes_a_training_is_recorded_and_its_change_is_said_before_it_goes_on(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = start.implementations(config, 20)["cells"]
    monkeypatch.setattr(start, "implementations", lambda *_: {"loss": ("one", "it is there"), "cells": cells})
    assert RunFolder.open(stopped(config, tmp_path)).record.sessions[0].environment["loss"] == "one"
    monkeypatch.setattr(start, "implementations", lambda *_: {"loss": ("other", "no compiler here"), "cells": cells})
    spoken = Spoken()
    folder = goes_on(tmp_path, replace(config.runtime, threads=2), spoken)
    assert "loss one before, other now (no compiler here)" in spoken.said[0]
    assert "threads 1 before, 2 now" in spoken.said[0]
    assert "last digits" in spoken.said[0]
    environment = folder.record.sessions[1].environment
    assert (environment["loss"], environment["cells"]) == ("other", cells[0])


def test_the_precision_that_it_moves_to_is_the_one_it_goes_on_in(config: RunConfig, tmp_path: Path) -> None:
    def loss_of_first_epoch(name: str, precision: Precision, to: Precision) -> float:
        begun = replace(config, runtime=replace(config.runtime, precision=precision))
        folder = create_run(begun, tmp_path / name, None, None, tmp_path / "cache")
        runtime = replace(begun.runtime, precision=to)
        events = resume(folder.path, runtime=runtime, cache_dir=tmp_path / "cache", display=Silence()).journal()
        return next(event["train_loss"] for event in events if event["event"] == "epoch")

    low = loss_of_first_epoch("low", "bfloat16", "bfloat16")
    assert loss_of_first_epoch("moved", "float32", "bfloat16") == low
    assert loss_of_first_epoch("whole", "float32", "float32") != low


def test_a_finished_training_and_a_device_that_is_not_here_are_refused(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = create_run(config, tmp_path / "run", None, None, tmp_path / "cache")
    with pytest.raises(ConfigError, match="no kind of device 'abacus'"):
        goes_on(tmp_path, RuntimeConfig(device="abacus"))
    with folder.lock():
        folder.save(scores=SCORES)
    with pytest.raises(RunError, match="is finished"):
        goes_on(tmp_path, ELSEWHERE)
    monkeypatch.setattr(start, "processor", lambda: "another")
    assert len(goes_on(tmp_path).record.sessions) == 1  # what is finished does not go on
