"""Which form of the LSTM runs, that it says so, and that it is the layer."""

from __future__ import annotations

import pytest

from support.compare import assert_close
from support.lstm_cases import case
from tiedlm.layers import lstm_pick
from tiedlm.layers.lstm import lstm_loop


@pytest.mark.parametrize(
    ("device", "masked", "form"),
    [("cpu", True, "batched"), ("cpu", False, "stock"), ("cuda", True, "stock"), ("cuda", False, "stock")],
)
def test_says_which_and_why(device: str, masked: bool, form: str) -> None:
    found, reason = lstm_pick.picked(device, masked=masked)
    assert found == form
    assert reason.count(" ") > 5


@pytest.mark.parametrize(("keep", "form"), [(0.5, "batched"), (None, "stock")])
def test_what_is_said_is_what_runs(keep: float | None, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    forms = {name: lambda *arguments, name=name: called.append(name) for name in ("batched", "stock")}
    monkeypatch.setattr(lstm_pick, "_FORMS", forms)
    case(keep=keep).run(lstm_pick.lstm_pick)
    assert called == [form]


@pytest.mark.parametrize("keep", [0.5, None])
def test_whatever_runs_is_the_layer(keep: float | None) -> None:
    one = case(1, keep=keep)
    found, truth = one.everything(lstm_pick.lstm_pick), one.everything(lstm_loop)
    for name, value in found.items():
        assert_close(value, truth[name], 1e-12, name)
