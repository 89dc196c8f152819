"""`tiedlm train --resume`: as it was, with another runtime, or for more epochs in a copy."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from support.files import files
from support.small_text import small_config
from tiedlm.cli.main import INTERRUPTED
from tiedlm.cli.train import run_config
from tiedlm.config import to_json
from tiedlm.runs.folder import RunFolder


@pytest.fixture
def run(tiny: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny / "run", tmp_path / "run")


def test_a_finished_run_stays_as_it_is(tiedlm, tiny):
    before = files(tiny / "run")
    for same in ((), ("--training.epochs", 2)):
        answer = tiedlm("train", "--resume", tiny / "run", *same)
        assert answer.status == 0
        assert "is finished already" in answer.output
    assert files(tiny / "run") == before


def test_a_damaged_run_is_not_called_finished(tiedlm, run):
    (damaged,) = run.glob("weights-*")
    damaged.write_bytes(damaged.read_bytes()[:-2])
    answer = tiedlm("train", "--resume", run)
    assert (answer.status, answer.output) == (2, "")
    assert f"{damaged} is damaged" in answer.error


def test_a_finished_run_is_trained_for_longer_in_a_copy_that_may_have_another_folder_and_runtime(tiedlm, run, tmp_path):
    before = files(run)
    answer = tiedlm("train", "--resume", run, "--training.epochs", 3)
    assert answer.status == 0, answer.error
    assert answer.output.startswith(f"run: {run}-3-epochs\n")
    assert "epoch 3/3" in answer.output
    assert "epoch 2/3" not in answer.output
    longer = RunFolder.open(Path(f"{run}-3-epochs"))
    assert longer.is_finished
    assert run_config(longer.path).training.epochs == 3
    assert files(run) == before
    again = tiedlm("train", "--resume", run, "--training.epochs", 3)
    assert (again.status, again.output) == (2, "")
    assert f"{run}-3-epochs exists already. Resume it with `" in again.error
    options = ("--training.epochs", 3, "--run-dir", tmp_path / "longer", "--runtime.precision", "bfloat16")
    answer = tiedlm("train", "--resume", run, *options)
    assert answer.status == 0, answer.error
    assert [session.epoch for session in RunFolder.open(tmp_path / "longer").record.sessions[1:]] == [3]
    assert run_config(tmp_path / "longer").runtime.precision == "bfloat16"
    assert run_config(run).runtime.precision == "float32"


def test_an_interrupt_ends_with_130_and_the_run_can_be_resumed(tmp_path, tiedlm):
    config = small_config(tmp_path)
    config = replace(config, training=replace(config.training, epochs=10_000))
    (tmp_path / "long.json").write_text(json.dumps(to_json(config)))
    command = [sys.executable, "-m", "tiedlm", "train", tmp_path / "long.json", "--run-dir", tmp_path / "run"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("epoch 1/"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, error = process.communicate()
    assert process.returncode == INTERRUPTED
    assert error.startswith("tiedlm: interrupted; progress is saved. Resume with: tiedlm train --resume ")
    assert RunFolder.open(tmp_path / "run").record.progress.epoch > 1
    assert tiedlm("compare", tmp_path / "run").status == 0
