"""A training's state, to the disk and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tiedlm.checkpoint import RunFolder
from tiedlm.errors import RunError
from tiedlm.nn.config import LSTMConfig
from tiedlm.nn.model import LanguageModel
from tiedlm.training.state import Progress, TrainingState, read_progress, restore

CONFIG = LSTMConfig(units=4, tied=True)


def state() -> TrainingState:
    model = LanguageModel(CONFIG, 7)
    carried = tuple(torch.rand_like(tensor) for tensor in model.initial_state(3))
    progress = Progress(generation=2, epoch=2, window=3, words=9, loss_sum=0.1 + 0.2, best_epoch=1)
    return TrainingState(model=model, carried=carried, progress=progress)


def test_round_trip_is_exact(tmp_path: Path) -> None:
    before = state()
    folder = RunFolder.create(tmp_path / "run", before.contents())
    after = restore(folder, LanguageModel(CONFIG, 7))
    assert after.progress == before.progress
    for old, new in zip(before.carried, after.carried, strict=True):
        assert torch.equal(old, new)
    for name, tensor in before.model.state_dict().items():
        assert torch.equal(tensor, after.model.state_dict()[name])


def test_a_state_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", state().contents())
    with pytest.raises(RunError, match="does not fit its config"):
        restore(folder, LanguageModel(LSTMConfig(units=5, tied=True), 7))


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    contents = state().contents()
    newer = {**json.loads(contents["progress"]), "version": 2}
    folder = RunFolder.create(tmp_path / "run", {**contents, "progress": json.dumps(newer).encode()})
    with pytest.raises(RunError, match="version 2"):
        read_progress(folder)


def test_next_epoch_starts_at_its_first_window() -> None:
    progress = Progress(epoch=1, window=5, words=3, loss_sum=1.0, cross_entropy_sum=1.0, seconds=2.0, best_epoch=1)
    progress.next_epoch(3.0)
    assert progress == Progress(epoch=2, total_seconds=3.0, best_epoch=1)
