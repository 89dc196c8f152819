"""A training goes on elsewhere: from the same state, on the record, and with nothing else changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from support.small_text import small_config
from support.tiny_run import Silence
from tiedlm.checkpoint import RunFolder
from tiedlm.config import to_json
from tiedlm.errors import ConfigError, RunError
from tiedlm.runs.config import Precision, RunConfig, RuntimeConfig
from tiedlm.training import environment, loop
from tiedlm.training.display import WindowReport
from tiedlm.training.loop import resume, train
from tiedlm.training.moves import current_config, current_threads, go_on, move, moves_of
from tiedlm.training.start import started

ELSEWHERE = RuntimeConfig(precision="bfloat16", threads=2, save_seconds=60.0)


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return small_config(tmp_path / "text")


@pytest.fixture
def begun(config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run before its first window; PyTorch's threads are left alone."""
    threads = [torch.get_num_threads()]
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    return started(config, tmp_path / "run", None, None, tmp_path / "cache")


def test_without_a_move_a_run_is_as_its_config_says(begun: RunFolder, config: RunConfig) -> None:
    assert (moves_of(begun), current_config(begun), current_threads(begun)) == ([], config, 1)


def test_a_move_changes_the_runtime_and_leaves_what_was_written(begun: RunFolder, config: RunConfig) -> None:
    before = {role: begun.read(role) for role in ("config", "environment", "state", "progress")}
    move(begun.path, ELSEWHERE)
    after = RunFolder.open(begun.path)
    assert current_config(after) == replace(config, runtime=ELSEWHERE)
    assert current_threads(after) == 2
    assert {role: after.read(role) for role in before} == before
    [told] = moves_of(after)
    assert (told["epoch"], told["window"], told["runtime"]) == (1, 0, to_json(ELSEWHERE))
    assert told["environment"]["threads"] == 2
    assert "command" not in told["environment"]
    assert [record["event"] for record in after.journal.records()] == ["move"]


def test_the_last_of_several_counts(begun: RunFolder, config: RunConfig) -> None:
    move(begun.path, ELSEWHERE)
    move(begun.path, config.runtime)
    after = RunFolder.open(begun.path)
    assert [told["runtime"]["precision"] for told in moves_of(after)] == ["bfloat16", "float32"]
    assert current_config(after) == config


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
    """Moved within an epoch to a runtime that no sum depends on, a training ends with the weights of one left alone."""
    whole = train(config, tmp_path / "whole", cache_dir=tmp_path / "cache")
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "moved", cache_dir=tmp_path / "cache", display=StopsInTheSecondEpoch())
    move(tmp_path / "moved", replace(config.runtime, save_seconds=60.0))
    moved = resume(tmp_path / "moved", cache_dir=tmp_path / "cache")
    assert moved.read("weights") == whole.read("weights")
    assert moved.read("scores") == whole.read("scores")
    assert moves_of(moved)[0]["epoch"] == 2


@pytest.mark.parametrize("what", ["processor", "commit"])
def test_where_a_training_goes_on_is_noted_if_it_is_another_place(
    what: str, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, cache = tmp_path / "run", tmp_path / "cache"
    with pytest.raises(KeyboardInterrupt):
        train(config, run, cache_dir=cache, display=StopsInTheSecondEpoch())
    monkeypatch.setattr(environment, what, lambda: "another")
    with pytest.raises(KeyboardInterrupt):
        resume(run, cache_dir=cache, display=StopsAtOnce())
    resume(run, cache_dir=cache)
    folder = RunFolder.open(run)
    [told] = moves_of(folder)
    assert (told["epoch"], told["runtime"]) == (2, to_json(config.runtime))
    assert told["environment"][what] == "another" != folder.read_json("environment")[what]
    assert current_config(folder) == config
    events = [record["event"] for record in folder.journal.records()]
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
    cells = environment.implementations(config, 20)["cells"]
    monkeypatch.setattr(environment, "implementations", lambda *_: {"loss": ("one", "it is there"), "cells": cells})
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", cache_dir=tmp_path / "cache", display=StopsInTheSecondEpoch())
    assert RunFolder.open(tmp_path / "run").read_json("environment")["loss"] == "one"
    answers = {"loss": ("other", "no compiler is here"), "cells": cells}
    monkeypatch.setattr(environment, "implementations", lambda *_: answers)
    monkeypatch.setattr(loop, "implementations", lambda *_: answers)
    spoken = Spoken()
    folder = resume(tmp_path / "run", cache_dir=tmp_path / "cache", display=spoken)
    assert "loss one before, other now (no compiler is here)" in spoken.said[0]
    assert "last digits" in spoken.said[0]
    [move] = moves_of(folder)
    assert (move["environment"]["loss"], move["environment"]["cells"]) == ("other", cells[0])


def test_a_training_that_is_left_alone_or_goes_on_where_it_was_has_nothing_to_note(begun: RunFolder) -> None:
    before = begun.path.joinpath("manifest.json").read_bytes()
    go_on(begun, current_config(begun), len(begun.read_json("vocabulary")["words"]))
    assert begun.path.joinpath("manifest.json").read_bytes() == before
    assert moves_of(begun) == []


def test_what_is_finished_is_not_said_to_go_on(begun: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    begun.commit({"scores": b"{}"})
    monkeypatch.setattr(environment, "processor", lambda: "another")
    go_on(begun, current_config(begun), len(begun.read_json("vocabulary")["words"]))
    assert moves_of(begun) == []


def test_the_precision_that_it_moves_to_is_the_one_it_goes_on_in(config: RunConfig, tmp_path: Path) -> None:
    def loss_of_first_epoch(name: str, precision: Precision, to: Precision) -> float:
        begun = replace(config, runtime=replace(config.runtime, precision=precision))
        folder = started(begun, tmp_path / name, None, None, tmp_path / "cache")
        if to != precision:
            move(folder.path, replace(begun.runtime, precision=to))
        records = resume(folder.path, cache_dir=tmp_path / "cache").journal.records()
        return next(record["train_loss"] for record in records if record["event"] == "epoch")

    low = loss_of_first_epoch("low", "bfloat16", "bfloat16")
    assert loss_of_first_epoch("moved", "float32", "bfloat16") == low
    assert loss_of_first_epoch("whole", "float32", "float32") != low


def test_a_finished_training_and_a_device_that_is_not_here_are_refused(config: RunConfig, tmp_path: Path) -> None:
    folder = started(config, tmp_path / "run", None, None, tmp_path / "cache")
    with pytest.raises(ConfigError, match="no kind of device 'abacus'"):
        move(folder.path, RuntimeConfig(device="abacus"))
    assert moves_of(RunFolder.open(folder.path)) == []
    folder.commit({"scores": b"{}"})
    with pytest.raises(RunError, match="is finished"):
        move(folder.path, ELSEWHERE)
