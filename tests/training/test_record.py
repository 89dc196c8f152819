"""What a training writes, and that of several ranks only the first does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from tiedlm.checkpoint import RunFolder
from tiedlm.native.ranks import SINGLE, Ranks
from tiedlm.nn.config import LSTMConfig
from tiedlm.nn.model import LanguageModel
from tiedlm.training.record import Record
from tiedlm.training.share import Share
from tiedlm.training.state import Progress, TrainingState, restore

CONFIG = LSTMConfig(units=4, tied=True)


def state() -> TrainingState:
    model = LanguageModel(CONFIG, 7)
    return TrainingState(model=model, carried=tuple(torch.rand_like(one) for one in model.initial_state(3)))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", state().contents())


def record(folder: RunFolder, ranks: Ranks = SINGLE, save_seconds: float = 300.0) -> Record:
    return Record(folder, ranks, Share(ranks, 3), save_seconds)


def test_what_is_saved_is_the_state_and_the_news(folder: RunFolder) -> None:
    ours, now = record(folder), state()
    ours.note(Progress(epoch=2, window=5), event="epoch", loss=1.5)
    assert folder.journal.records() == []
    ours.save(now, {"weights": now.weights()})
    saved = RunFolder.open(ours.path)
    [news] = saved.journal.records()
    assert (news["epoch"], news["window"], news["event"], news["loss"]) == (2, 5, "epoch", 1.5)
    assert torch.equal(restore(saved, LanguageModel(CONFIG, 7)).carried[1], now.carried[1])
    assert saved.read("weights") == now.weights()


def test_a_state_is_overdue_so_many_seconds_after_it_was_last_saved(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[-1])
    ours, due = record(folder, save_seconds=300.0), []
    for now in (0.0, 299.0, 300.0):
        clock.append(now)
        due.append(ours.overdue)
    ours.save(state())
    assert [*due, ours.overdue] == [False, False, True, False]


def test_other_ranks_neither_write_nor_look_at_the_clock(folder: RunFolder) -> None:
    other = record(folder, Ranks(None, 1, 3), save_seconds=0.0)
    assert not other.overdue
    other.note(Progress(), event="start")
    assert folder.journal.path.read_bytes() == b""
