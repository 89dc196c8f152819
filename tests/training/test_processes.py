"""Trainings over several processes: torchrun, equal to one process, cut, ended together; requests to end."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.multiprocessing.spawn import ProcessExitedException

from support import processes
from support.compare import assert_close, error
from support.small_text import small_config
from tiedlm.config import to_json
from tiedlm.errors import ConfigError
from tiedlm.native.ranks import SINGLE
from tiedlm.runs.folder import RunFolder
from tiedlm.runs.load import read_tensors
from tiedlm.training.processes import (
    EXIT_VARIABLE,
    interruptible,
    is_main_process,
    process_group,
    resume_command,
)

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
        assert is_main_process()
        assert resume_command(Path("my run")) == "tiedlm train --resume 'my run'"
        with process_group("anything") as group:
            assert group is SINGLE


@pytest.mark.usefixtures("one_of_four")
def test_of_several_the_first_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    command = "torchrun --nproc-per-node 2 -m tiedlm train --resume run --data-dir texts"
    assert resume_command(Path("run"), Path("texts")) == command
    assert not is_main_process()
    monkeypatch.setenv("RANK", "0")
    assert is_main_process()


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
    with pytest.raises(ConfigError, match=message), process_group(device):
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
    said = [line for line in error.splitlines() if line.startswith("tiedlm:")]
    command_line = f"torchrun --nproc-per-node 2 -m tiedlm train --resume {tmp_path / 'run'}"
    assert said == [f"tiedlm: interrupted; progress is saved. Resume with: {command_line}"]
    folder = RunFolder.open(tmp_path / "run")
    assert folder.record.progress.epoch > 1
    assert read_tensors(folder, "state")["carried.0"].shape[1] == config.training.streams


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes have done their work."""
    folder = tmp_path_factory.mktemp("ranks")
    processes.write_config(folder)
    processes.run(processes.train_together, 2, folder)
    return folder


def refusals(folder: Path, name: str) -> list[str]:
    return [json.loads((folder / f"refusals-{rank}.json").read_text())[name] for rank in range(2)]


@pytest.mark.parametrize(
    ("kind", "relative", "least"), [("float32", 1e-5, 0.05), ("float64", 1e-12, 0.05), ("untied", 1e-12, 0.005)]
)
def test_fifty_steps_of_two_processes_are_those_of_one(folder: Path, kind: str, relative: float, least: float) -> None:
    alone = processes.weights_after_steps(folder, f"alone-{kind}", kind, SINGLE)
    start = read_tensors(RunFolder.open(folder / f"alone-{kind}"), "state")
    both = [np.load(folder / f"{kind}-{rank}.npz", allow_pickle=False) for rank in range(2)]
    for name, truth in alone.items():
        assert np.array_equal(both[0][name], both[1][name]), f"{name}: the processes have drifted apart"
        assert_close(both[0][name], truth, relative, name)
    moved = {name: error(start[f"model.{name}"].numpy(), alone[name]) for name in alone if f"model.{name}" in start}
    assert min(moved.values()) > least, "these steps hardly train"


@pytest.mark.parametrize("run", ["stopped-by-the-last", "stopped-by-the-first", "not-a-number"])
def test_stopped_and_resumed_is_equal_to_the_bit(folder: Path, run: str) -> None:
    whole, cut = RunFolder.open(folder / "whole"), RunFolder.open(folder / run)
    assert cut.read("weights") == whole.read("weights")
    assert cut.record.scores == whole.record.scores
    middle = ["epoch", "resume"] if run == "stopped-by-the-first" else ["resume", "epoch"]
    assert [record["event"] for record in cut.journal()] == ["start", *middle, "epoch", "end"]


@pytest.mark.parametrize(("run", "epoch", "window"), [("stopped-by-the-last", 1, 6), ("stopped-by-the-first", 2, 4)])
def test_all_stop_after_the_window_in_which_one_was_asked_to(folder: Path, run: str, epoch: int, window: int) -> None:
    assert refusals(folder, run.replace("-", " ")) == ["KeyboardInterrupt: ", "KeyboardInterrupt: "]
    progress = json.loads((folder / f"{run}.json").read_text())
    assert (progress["epoch"], progress["window"]) == (epoch, window)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("another seed", "Rank 0 of 2 was not asked for the same .*'seed': 0", "Rank 1 of 2 .*'seed': 1"),
        ("five streams", "ConfigError: training.streams is 5, which does not divide over 2 processes.*Start 1, 5", ""),
        ("too short a text", "CorpusError: The text is shorter than one window", "another rank refuses"),
        ("a folder that is there", "RunError: .*exists already", "another rank refuses its arguments or fails"),
        ("no folder", "RunError: .*none", ""),
        ("not a number", "TrainingError: The loss is nan. It happened in epoch 1, window 6.", ""),
        ("one that resumes", "Rank 0 of 2 was not asked for the same", r"Rank 1 of 2 .*\('resume', "),
    ],
)
def test_what_cannot_be_is_an_error_of_all_and_leaves_nothing(folder: Path, name: str, first: str, last: str) -> None:
    for refusal, pattern in zip(refusals(folder, name), (first, last or first), strict=True):
        assert re.search(pattern, refusal), refusal
    assert not (folder / "none").exists()


def test_the_state_on_the_disk_is_that_of_all_streams(folder: Path) -> None:
    state = read_tensors(RunFolder.open(folder / "whole"), "state")
    assert state["carried.0"].shape[1] == 4
    assert [record["processes"] for record in RunFolder.open(folder / "whole").journal()[:1]] == [2]


def test_a_rank_that_is_killed_ends_the_training_and_it_goes_on_to_the_same_bits(folder: Path, tmp_path: Path) -> None:
    processes.write_config(tmp_path)
    with pytest.raises(ProcessExitedException, match="SIGKILL"):
        processes.run(processes.killed, 2, tmp_path)
    assert json.loads((tmp_path / "refusals-0.json").read_text()).startswith("RanksError: Rank 0 of 2 has lost another")
    (tmp_path / "meeting").unlink()
    processes.run(processes.go_on, 2, tmp_path)
    killed, whole = RunFolder.open(tmp_path / "killed"), RunFolder.open(folder / "whole")
    assert killed.read("weights") == whole.read("weights")
    assert killed.record.scores == whole.record.scores


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_the_second_one_stops_and_handlers_are_put_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with interruptible() as interrupt:
        assert not interrupt.requested
        os.kill(os.getpid(), number)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_other_threads_leave_signals_alone() -> None:
    seen: list[object] = []

    def work() -> None:
        with interruptible():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]


WATCHES_ITS_INPUT = """
import signal, sys
from tiedlm.training.processes import exit_with_parent
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
exit_with_parent()
print("ready", flush=True)
signal.pause()
"""


def test_a_process_ends_with_its_input_where_that_was_asked_for() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WATCHES_ITS_INPUT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {EXIT_VARIABLE: "1"},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("what is read is not the end\n")
        process.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.stdin.close()
        assert process.wait(60) == 7
