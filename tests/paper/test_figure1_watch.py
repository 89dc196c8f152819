"""A run under way keeps its state and stops in time."""

from __future__ import annotations

import time

import pytest

from support.tiny_run import Silence
from tiedlm.errors import RunError
from tiedlm.nn.config import LSTMConfig
from tiedlm.nn.model import LanguageModel
from tiedlm.paper.figure1_watch import OutOfTimeError, Watch
from tiedlm.paper.theory_state import Standing


class Told(Silence):
    """Keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def standing():
    import torch

    model = LanguageModel(LSTMConfig(units=2, layers=1), 5)
    adam = torch.optim.Adam(model.layers.parameters())
    return lambda epoch: Standing(epoch=epoch, model=model, optimizers=[adam])


def test_the_state_is_kept_after_every_epoch(tmp_path, standing):
    path = tmp_path / "state"
    watch = Watch("run 0", 3, path, Silence(), None)
    assert watch.state() is None
    for epoch in (2, 3):
        watch(standing(epoch))
        found = Watch("run 0", 3, path, Silence(), None).state()
        assert found is not None
        assert int(found["epoch"]) == epoch


def test_seconds_before_an_interruption_count(tmp_path, standing, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    first = Watch("run 0", 3, tmp_path / "state", Silence(), None)
    now[0] = 7.0
    first(standing(1))
    now[0] = 100.0
    again = Watch("run 0", 3, tmp_path / "state", Silence(), None)
    again.state()
    now[0] = 103.0
    assert again.seconds() == 10.0


@pytest.mark.parametrize(
    ("deadline", "epoch", "stops"),
    [(9.0, 1, True), (21.0, 1, False), (None, 1, False), (21.0, 3, True), (111.0, 3, False), (None, 3, False)],
)
def test_a_run_stops_where_what_comes_next_would_end_too_late(tmp_path, standing, monkeypatch, deadline, epoch, stops):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    display = Told()
    watch = Watch("run 0", 3, tmp_path / "state", display, deadline)
    now[0] = 10.0
    if stops:
        with pytest.raises(OutOfTimeError):
            watch(standing(epoch))
        assert display.lines == [f"run 0: kept after epoch {epoch} of 3, 10s"]
    else:
        watch(standing(epoch))
    assert (tmp_path / "state").exists()


def test_a_damaged_state_is_told(tmp_path):
    (tmp_path / "state").write_bytes(b"nonsense")
    with pytest.raises(RunError, match=r"state is damaged .* Delete it to begin that run anew"):
        Watch("run 0", 3, tmp_path / "state", Silence(), None).state()
