"""What a training writes, and that of several ranks only the first does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from support.small_text import small_config
from tiedlm.native.ranks import SINGLE, Ranks
from tiedlm.runs.folder import Progress, RunFolder
from tiedlm.training.record import Record
from tiedlm.training.share import Share
from tiedlm.training.start import create_run, restore_run


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return create_run(small_config(tmp_path / "text"), tmp_path / "run", None, None, tmp_path / "cache")


def record(folder: RunFolder, ranks: Ranks = SINGLE, save_seconds: float = 300.0) -> Record:
    return Record(folder, ranks, Share(ranks, 6), save_seconds)


def test_what_is_saved_is_the_state_and_the_events(folder: RunFolder, tmp_path: Path) -> None:
    ours, now = record(folder), restore_run(folder, None, tmp_path / "cache")
    now.carried = tuple(torch.rand_like(part) for part in now.carried)
    with folder.lock():
        ours.note(Progress(epoch=2, window=5, words=5), "epoch", loss=1.5)
        ours.save(now, now.weights())
    saved = RunFolder.open(ours.path)
    [event] = saved.journal()
    assert (event["epoch"], event["window"], event["event"], event["loss"]) == (2, 5, "epoch", 1.5)
    assert saved.read("state") == now.to_bytes()
    assert saved.read("weights") == now.weights()


def test_a_state_is_overdue_so_many_seconds_after_it_was_last_saved(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, state = [0.0], restore_run(folder, None, tmp_path / "cache")
    monkeypatch.setattr(time, "monotonic", lambda: clock[-1])
    ours, due = record(folder, save_seconds=300.0), []
    for now in (0.0, 299.0, 300.0):
        clock.append(now)
        due.append(ours.overdue)
    ours.save(state)
    assert [*due, ours.overdue] == [False, False, True, False]


def test_other_ranks_neither_write_nor_look_at_the_clock(folder: RunFolder) -> None:
    other = record(folder, Ranks(None, 1, 3), save_seconds=0.0)
    assert not other.overdue
    other.note(Progress(), "start")
    assert (folder.path / "journal.jsonl").read_bytes() == b""
