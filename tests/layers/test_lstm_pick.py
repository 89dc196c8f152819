"""Which form of the LSTM runs, that it says so, and that it is the layer."""

from __future__ import annotations

import pytest

from support.compare import assert_close
from support.lstm_cases import case
from tiedlm.layers import compiled_steps, lstm_pick
from tiedlm.layers.lstm import lstm_loop
from tiedlm.native.build import compiler_unavailable


@pytest.mark.parametrize(
    ("device", "masked", "units", "missing", "form"),
    [
        ("cpu", True, 1500, None, "compiled"),
        ("cpu", True, 100, None, "compiled"),
        ("cpu", True, 99, None, "stock"),
        ("cpu", True, 1500, "no g++", "stock"),
        ("cpu", False, 1500, None, "stock"),
        ("cuda", True, 1500, None, "stock"),
        ("cuda", False, 1500, None, "stock"),
    ],
)
def test_says_which_and_why(
    device: str, masked: bool, units: int, missing: str | None, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_steps, "compiler_unavailable", lambda: missing)
    found, reason = lstm_pick.picked(device, masked=masked, units=units)
    assert found == form
    assert reason.count(" ") > 5
    assert missing is None or missing in reason


@pytest.fixture(params=[1, 10_000], ids=["wide", "narrow"])
def from_units(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The width from which layers count as wide."""
    monkeypatch.setattr(compiled_steps, "COMPILED_UNITS", request.param)
    return request.param


@pytest.mark.parametrize("keep", [0.5, None])
def test_what_is_said_is_what_runs(keep: float | None, from_units: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_steps, "compiler_unavailable", lambda: None)
    called, form = [], "compiled" if keep and from_units == 1 else "stock"
    forms = {name: lambda *arguments, name=name: called.append(name) for name in ("compiled", "stock")}
    monkeypatch.setattr(lstm_pick, "_FORMS", forms)
    case(keep=keep).run(lstm_pick.lstm_pick)
    assert called == [form]


@pytest.mark.usefixtures("from_units")
@pytest.mark.parametrize("keep", [0.5, None])
@pytest.mark.parametrize("missing", [compiler_unavailable(), "no g++"])
def test_whatever_runs_is_the_layer(keep: float | None, missing: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_steps, "compiler_unavailable", lambda: missing)
    one = case(1, keep=keep)
    found, truth = one.everything(lstm_pick.lstm_pick), one.everything(lstm_loop)
    for name, value in found.items():
        assert_close(value, truth[name], 1e-12, name)
