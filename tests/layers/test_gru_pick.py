"""Which form of the GRU runs, that it says so, and that it is the layer."""

from __future__ import annotations

import pytest
import torch

from support.compare import assert_close
from support.layer_cases import gru_case
from tiedlm.layers import gru_pick
from tiedlm.layers.gru import gru_loop


@pytest.mark.parametrize(
    ("device", "masked", "form"),
    [("cpu", True, "loop"), ("cpu", False, "stock"), ("cuda", True, "stock"), ("cuda", False, "stock")],
)
def test_says_which_and_why(device: str, masked: bool, form: str) -> None:
    found, reason = gru_pick.picked(device, masked=masked)
    assert found == form
    assert reason.count(" ") > 5


@pytest.mark.parametrize(("keep", "form"), [(0.5, "loop"), (None, "stock")])
def test_what_is_said_is_what_runs(keep: float | None, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    forms = {name: lambda *arguments, name=name: called.append(name) for name in ("loop", "stock")}
    monkeypatch.setattr(gru_pick, "_FORMS", forms)
    gru_pick.gru_pick(*gru_case(keep=keep))
    assert called == [form]


@pytest.mark.parametrize("keep", [0.5, None])
def test_whatever_runs_is_the_layer(keep: float | None) -> None:
    one = gru_case(1, keep=keep)
    found, truth = one.everything(gru_pick.gru_pick), one.everything(gru_loop)
    for name, value in found.items():
        assert_close(value, truth[name], 1e-12, name)
    assert isinstance(found["state"], torch.Tensor)
