"""Trainings that torchrun starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from support.small_text import small_config
from tiedlm.config import to_json
from tiedlm.errors import ConfigError
from tiedlm.native.ranks import SINGLE
from tiedlm.runs.folder import RunFolder
from tiedlm.runs.load import read_tensors
from tiedlm.training import torchrun

PLACE = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4", "RANK": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}


@pytest.fixture
def one_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLACE.items():
        monkeypatch.setenv(name, value)


def test_without_torchrun_or_with_one_process_a_training_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for places in ({}, {"WORLD_SIZE": "4", "RANK": "2"}, {**PLACE, "WORLD_SIZE": "1", "RANK": "0"}):
        for name in PLACE:
            monkeypatch.delenv(name, raising=False)
        for name, value in places.items():
            monkeypatch.setenv(name, value)
        assert not torchrun.is_one_of_several()
        assert torchrun.speaks()
        assert torchrun.program() == ["tiedlm"]
        with torchrun.joined("anything") as ranks:
            assert ranks is SINGLE


@pytest.mark.usefixtures("one_of_four")
def test_of_several_the_first_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert torchrun.program() == ["torchrun", "--nproc-per-node", "2", "-m", "tiedlm"]
    assert not torchrun.speaks()
    monkeypatch.setenv("RANK", "0")
    assert torchrun.speaks()


@pytest.mark.usefixtures("one_of_four")
@pytest.mark.parametrize(
    ("device", "gpus", "message"),
    [
        ("cuda:1", 2, "runtime.device is 'cuda:1', but several processes train on 'cpu' or on 'cuda'"),
        ("mps", 0, "runtime.device is 'mps'"),
        ("cuda", 0, "There are 0 GPUs here for 2 processes: .* at most 0, or train with --runtime.device cpu"),
    ],
)
def test_devices_that_cannot_be(device: str, gpus: int, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    with pytest.raises(ConfigError, match=message), torchrun.joined(device):
        pass


def test_two_processes_train_stop_together_and_say_once_how_to_go_on(tmp_path: Path) -> None:
    config = small_config(tmp_path / "text")
    config = replace(config, training=replace(config.training, epochs=10_000, steps=60))
    (tmp_path / "long.json").write_text(json.dumps(to_json(config)))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "tiedlm"]
    command += ["train", str(tmp_path / "long.json"), "--run-dir", str(tmp_path / "run")]
    environment = os.environ | {"TIEDLM_CACHE_DIR": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    shown: list[str] = []
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while not (line := process.stdout.readline()).startswith("epoch 1/"):
            shown.append(line)
            assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate()
    assert shown == [f"run: {tmp_path / 'run'}\n"]
    told = [line for line in error.splitlines() if line.startswith("tiedlm:")]
    command_line = f"torchrun --nproc-per-node 2 -m tiedlm train --resume {tmp_path / 'run'}"
    assert told == [f"tiedlm: interrupted; progress is saved. Resume with: {command_line}"]
    folder = RunFolder.open(tmp_path / "run")
    assert folder.record.progress.epoch > 1
    assert read_tensors(folder, "state")["carried.0"].shape[1] == config.training.streams
