"""Which form of the recurrent highway layer runs, that it says so, and that it is the layer."""

from __future__ import annotations

import pytest

from support.compare import assert_close
from support.layer_cases import rhn_case
from tiedlm.layers import compiled_steps, rhn_pick
from tiedlm.layers.rhn import rhn_loop
from tiedlm.native.build import compiler_unavailable


@pytest.mark.parametrize(
    ("device", "units", "missing", "form"),
    [
        ("cpu", 830, None, "compiled"),
        ("cpu", 100, None, "compiled"),
        ("cpu", 99, None, "batched"),
        ("cpu", 830, "no g++", "batched"),
        ("cuda", 830, None, "batched"),
    ],
)
def test_says_which_and_why(
    device: str, units: int, missing: str | None, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_steps, "compiler_unavailable", lambda: missing)
    found, reason = rhn_pick.picked(device, units=units)
    assert found == form
    assert reason.count(" ") > 5
    assert missing is None or missing in reason


@pytest.mark.parametrize("from_units", [1, 10_000], ids=["wide", "narrow"])
def test_what_is_said_is_what_runs(from_units: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_steps, "compiler_unavailable", lambda: None)
    monkeypatch.setattr(compiled_steps, "COMPILED_UNITS", from_units)
    called = []
    forms = {name: lambda *arguments, name=name: called.append(name) for name in ("compiled", "batched")}
    monkeypatch.setattr(rhn_pick, "_FORMS", forms)
    rhn_case().run(rhn_pick.rhn_pick)
    assert called == ["compiled" if from_units == 1 else "batched"]


@pytest.mark.parametrize("missing", [compiler_unavailable(), "no g++"])
@pytest.mark.parametrize("from_units", [1, 10_000], ids=["wide", "narrow"])
def test_whatever_runs_is_the_layer(from_units: int, missing: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_steps, "COMPILED_UNITS", from_units)
    monkeypatch.setattr(compiled_steps, "compiler_unavailable", lambda: missing)
    one = rhn_case(1)
    truth = one.everything(rhn_loop)
    for name, value in one.everything(rhn_pick.rhn_pick).items():
        assert_close(value, truth[name], 1e-12, name)
