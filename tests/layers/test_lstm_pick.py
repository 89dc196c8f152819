"""Which form of the LSTM runs, that it says so, and that it is the layer."""

from __future__ import annotations

import pytest

from support.compare import assert_close
from support.lstm_cases import case
from tiedlm.layers import lstm_pick
from tiedlm.layers.lstm import lstm_loop


@pytest.mark.parametrize(
    ("device", "masked", "units", "form"),
    [
        ("cpu", True, 1500, "batched"),
        ("cpu", True, 1000, "batched"),
        ("cpu", True, 999, "stock"),
        ("cpu", False, 1500, "stock"),
        ("cuda", True, 1500, "stock"),
        ("cuda", False, 1500, "stock"),
    ],
)
def test_says_which_and_why(device: str, masked: bool, units: int, form: str) -> None:
    found, reason = lstm_pick.picked(device, masked=masked, units=units)
    assert found == form
    assert reason.count(" ") > 5


@pytest.fixture(params=[1, 10_000], ids=["wide", "narrow"])
def from_units(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The width from which layers count as wide."""
    monkeypatch.setattr(lstm_pick, "BATCHED_UNITS", request.param)
    return request.param


@pytest.mark.parametrize("keep", [0.5, None])
def test_what_is_said_is_what_runs(keep: float | None, from_units: int, monkeypatch: pytest.MonkeyPatch) -> None:
    called, form = [], "batched" if keep and from_units == 1 else "stock"
    forms = {name: lambda *arguments, name=name: called.append(name) for name in ("batched", "stock")}
    monkeypatch.setattr(lstm_pick, "_FORMS", forms)
    case(keep=keep).run(lstm_pick.lstm_pick)
    assert called == [form]


@pytest.mark.usefixtures("from_units")
@pytest.mark.parametrize("keep", [0.5, None])
def test_whatever_runs_is_the_layer(keep: float | None) -> None:
    one = case(1, keep=keep)
    found, truth = one.everything(lstm_pick.lstm_pick), one.everything(lstm_loop)
    for name, value in found.items():
        assert_close(value, truth[name], 1e-12, name)
