"""The layer on PyTorch's kernel against its definition, the loop: outputs, raw states and every gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from support import lstm_truth
from support.dispatch import Recorder
from support.lstm_cases import case
from support.rounding_kernel import bfloat16_from
from tiedlm.layers.lstm import LSTMState, lstm_loop
from tiedlm.layers.lstm_stock import lstm_stock


@given(lstm_truth.CASES)
@settings(max_examples=80)
def test_is_the_loop_in_float64(drawn: dict[str, Any]) -> None:
    lstm_truth.check_in_float64(lstm_stock, drawn)


@given(lstm_truth.CASES)
@settings(max_examples=60)
def test_is_the_loop_in_float32(drawn: dict[str, Any]) -> None:
    lstm_truth.check_in_float32(lstm_stock, drawn)


@pytest.mark.parametrize("keep", [0.35, 0.7])
def test_is_the_loop_at_the_papers_window(keep: float) -> None:
    lstm_truth.check_at_the_papers_window(lstm_stock, keep)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gradients_reach_back_through_a_carried_state_under_another_mask(dtype: torch.dtype) -> None:
    lstm_truth.check_carried_state(lstm_stock, dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_units_dropped_in_every_stream_are_no_special_case(dtype: torch.dtype) -> None:
    lstm_truth.check_all_dropped(lstm_stock, dtype)


def test_it_leaves_its_arguments_as_they_were() -> None:
    lstm_truth.check_arguments_untouched(lstm_stock)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_an_output_gate_that_is_wide_open_is_shut_all_the_same(dtype: torch.dtype) -> None:
    one = case(4).to(dtype)
    bias = one.bias.detach().clone()
    bias[18:] = 200.0
    one = one._replace(bias=bias.requires_grad_())
    outputs, _ = one.run(lstm_stock)
    assert one.mask is not None
    assert torch.equal(outputs == 0, (one.mask == 0).expand_as(outputs))
    lstm_truth.check(one.everything(lstm_stock), one.to(torch.float64).everything(lstm_loop), 1e-5)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="the fused kernel is oneDNN's")
@pytest.mark.parametrize("keep", [None, 0.5])
def test_it_takes_as_many_calls_for_many_steps_as_for_few(keep: float | None) -> None:
    counts = []
    for steps in (3, 30):
        with Recorder() as recorder:
            case(5, steps=steps, keep=keep).to(torch.float32).run(lstm_stock)
        counts.append(len(recorder.calls))
    assert counts[0] == counts[1]


def under_autocast(*arguments: Any) -> tuple[Tensor, LSTMState]:
    with torch.autocast("cpu", torch.bfloat16):  # the forward pass alone, as in training
        return lstm_stock(*arguments)


@pytest.mark.parametrize("keep", [0.5, None])
def test_where_the_cpu_has_no_kernel_for_autocast_the_layer_runs_in_its_own_type(
    monkeypatch: pytest.MonkeyPatch, keep: float | None
) -> None:
    own = case(0, keep=keep).to(torch.float32)
    due = own.everything(lstm_stock)
    rounded = own._replace(inputs=own.inputs.detach().bfloat16().requires_grad_())
    monkeypatch.setattr("tiedlm.layers.precision.has_lstm_kernel", lambda dtype: False)
    found, near = own.everything(under_autocast), rounded.everything(under_autocast)
    assert list(found) == list(due)
    for name, truth in due.items():
        assert torch.equal(found[name], truth), name
        torch.testing.assert_close(
            near[name].to(truth.dtype), truth, rtol=0.05, atol=0.05 * float(truth.detach().abs().max())
        )
    assert near["outputs"].dtype == torch.float32
    assert not torch.equal(near["outputs"], due["outputs"])


@pytest.mark.parametrize("keep", [0.5, None])
def test_a_state_out_of_a_kernel_of_autocasts_type_is_one_for_the_next_window(
    monkeypatch: pytest.MonkeyPatch, keep: float | None
) -> None:
    one = case(0, keep=keep).to(torch.float32)
    monkeypatch.setattr("tiedlm.layers.precision.has_lstm_kernel", lambda dtype: True)
    with bfloat16_from("lstm"):
        outputs, (hidden, cell) = one.run(lstm_stock)
    assert outputs.dtype == torch.bfloat16
    assert hidden.dtype == cell.dtype == torch.float32
    one._replace(hidden=hidden, cell=cell).run(lstm_loop)
