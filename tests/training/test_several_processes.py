"""Trainings over two processes: equal to one process, equal to themselves when they are cut, and ended together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from torch.multiprocessing.spawn import ProcessExitedException

from support import processes, rank_trainings
from support.compare import assert_close, error
from tiedlm.native.ranks import SINGLE
from tiedlm.runs.folder import RunFolder
from tiedlm.runs.load import read_tensors


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes have done their work."""
    folder = tmp_path_factory.mktemp("ranks")
    rank_trainings.write_config(folder)
    processes.run(rank_trainings.work, 2, folder)
    return folder


def told(folder: Path, name: str) -> list[str]:
    return [json.loads((folder / f"told-{rank}.json").read_text())[name] for rank in range(2)]


@pytest.mark.parametrize(
    ("kind", "relative", "least"), [("float32", 1e-5, 0.05), ("float64", 1e-12, 0.05), ("untied", 1e-12, 0.005)]
)
def test_fifty_steps_of_two_processes_are_those_of_one(folder: Path, kind: str, relative: float, least: float) -> None:
    alone = rank_trainings.weights_after_steps(folder, f"alone-{kind}", kind, SINGLE)
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
    assert told(folder, run.replace("-", " ")) == ["KeyboardInterrupt: ", "KeyboardInterrupt: "]
    progress = json.loads((folder / f"{run}.json").read_text())
    assert (progress["epoch"], progress["window"]) == (epoch, window)


def test_a_loss_that_is_not_finite_on_one_stops_all(folder: Path) -> None:
    for one in told(folder, "not a number"):
        assert one.startswith("TrainingError: The loss is nan. It happened in epoch 1, window 6.")


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("another seed", "Rank 0 of 2 was not asked for the same .*'seed': 0", "Rank 1 of 2 .*'seed': 1"),
        ("five streams", "ConfigError: training.streams is 5, which does not divide over 2 processes.*Start 1, 5", ""),
        ("too short a text", "CorpusError: The text is shorter than one window", "another rank refuses"),
        ("a folder that is there", "RunError: .*exists already", "another rank refuses its arguments or fails"),
        ("no folder", "RunError: .*none", ""),
        ("one that resumes", "Rank 0 of 2 was not asked for the same", r"Rank 1 of 2 .*\('resume', "),
    ],
)
def test_what_cannot_be_is_an_error_of_all_and_leaves_nothing(folder: Path, name: str, first: str, last: str) -> None:
    found = told(folder, name)
    assert_matches(first, found[0])
    assert_matches(last or first, found[1])
    assert not (folder / "none").exists()


def assert_matches(pattern: str, text: str) -> None:
    with pytest.raises(ValueError, match=pattern):
        raise ValueError(text)


def test_a_run_of_two_processes_goes_on_in_one(folder: Path, tmp_path: Path) -> None:
    """The state on the disk is that of all streams."""
    state = read_tensors(RunFolder.open(folder / "whole"), "state")
    assert state["carried.0"].shape[1] == 4
    assert [record["processes"] for record in RunFolder.open(folder / "whole").journal()[:1]] == [2]
    again = rank_trainings.resume(folder, "whole", SINGLE)
    assert again.read("weights") == RunFolder.open(folder / "whole").read("weights")


def test_a_rank_that_is_killed_ends_the_training_and_it_goes_on_to_the_same_bits(folder: Path, tmp_path: Path) -> None:
    rank_trainings.write_config(tmp_path)
    with pytest.raises(ProcessExitedException, match="SIGKILL"):
        processes.run(rank_trainings.killed, 2, tmp_path)
    assert json.loads((tmp_path / "told-0.json").read_text()).startswith("RanksError: Rank 0 of 2 has lost another")
    (tmp_path / "meeting").unlink()
    processes.run(rank_trainings.go_on, 2, tmp_path)
    killed, whole = RunFolder.open(tmp_path / "killed"), RunFolder.open(folder / "whole")
    assert killed.read("weights") == whole.read("weights")
    assert killed.record.scores == whole.record.scores
