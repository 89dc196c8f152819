"""The layer with its steps in one kernel: the checks that run it, and where it cannot run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from support.lstm_cases import case
from support.triton_tests import BOTH_WAYS, INTERPRETED, TRITON, check_apart
from tiedlm.errors import ArgumentError
from tiedlm.layers.lstm_triton import lstm_triton, why_not


@TRITON
@BOTH_WAYS
def test_the_layer(interpret: str) -> None:
    check_apart(Path(__file__).parent / "apart" / "checks_lstm_triton.py", interpret)


def test_without_triton_it_names_the_form_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton.runtime", None)
    with pytest.raises(ArgumentError, match=r"one kernel of a GPU: Triton cannot be imported.*Use lstm_stock"):
        case().to(torch.float32).run(lstm_triton)


@TRITON
@pytest.mark.skipif(INTERPRETED, reason="Triton interprets in this process")
def test_on_a_cpu_it_names_the_form_to_use() -> None:
    with pytest.raises(ArgumentError, match=r"run on a GPU, and the tensors are on cpu.*Use lstm_stock"):
        case().to(torch.float32).run(lstm_triton)


def test_what_it_takes_is_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiedlm.layers.lstm_triton.missing_triton", lambda device: None)
    assert why_not(torch.zeros(4 * 1024, 1024), 64) is None
    assert "1,025 units" in (why_not(torch.zeros(4 * 1025, 1025), 64) or "")
    assert "a window of 8,192 steps has more" in (why_not(torch.zeros(4 * 1024, 1024), 64, 8192) or "")
    assert why_not(torch.zeros(4 * 1024, 1024), 64, 8191) is None


def test_shapes_are_checked_first() -> None:
    one = case().to(torch.float32)
    with pytest.raises(ArgumentError, match="mask"):
        one._replace(mask=torch.ones(3, 7)).run(lstm_triton)
