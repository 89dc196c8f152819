"""What each cell has of its own: gates that a mask closes, kernels of low precision, memory that no mask touches."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor

from support import layers as forms
from support.compare import Recorder, assert_close
from support.gpu import NEEDS_GPU, needs_a_compiler
from support.layers import (
    BATCHED,
    COMPILED,
    GRU_STOCK,
    LOOPS,
    RHN_COMPILED,
    STOCK,
    Case,
    Form,
    check,
    check_is_the_loop,
    make,
)
from tiedlm.errors import ArgumentError
from tiedlm.nn import cells
from tiedlm.nn.gru import GRUWeights, gru_stock
from tiedlm.nn.lstm import LSTMWeights, lstm_stock

LOOP = LOOPS["lstm"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_an_output_gate_that_is_wide_open_is_closed_all_the_same(dtype: torch.dtype) -> None:
    case = make(STOCK, 4).to(dtype)
    bias = case.weights.bias.detach().clone()
    bias[18:] = 200.0
    case = case.with_weights(bias=bias.requires_grad_())
    assert case.mask is not None
    assert torch.equal(case.run(STOCK)[0] == 0, (case.mask == 0).expand(4, 3, 6))
    check(case.everything(STOCK), case.to(torch.float64).everything(LOOP), 1e-5)


@needs_a_compiler
def test_a_mask_in_cpp_may_hold_any_numbers() -> None:
    mask = torch.randn(3, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    check_is_the_loop(COMPILED, make(COMPILED, 4)._replace(mask=mask))


@needs_a_compiler
def test_inputs_that_ask_for_no_gradient_cost_no_product() -> None:
    counts = []
    for needs_grad in (True, False):
        case = make(COMPILED, 6)
        case = case._replace(inputs=case.inputs.detach().requires_grad_(needs_grad))
        outputs, _ = case.run(COMPILED)
        with Recorder() as recorder:
            outputs.sum().backward()
        counts.append(sum(call.multiplications > 0 for call in recorder.calls))
    assert counts[0] == counts[1] + 1


def under_autocast(*arguments: Any) -> Any:
    with torch.autocast("cpu", torch.bfloat16):  # the forward pass alone, as in training
        return STOCK(*arguments)


@pytest.mark.parametrize("keep", [0.5, None])
def test_where_the_cpu_has_no_kernel_for_autocast_the_layer_runs_in_its_own_type(
    monkeypatch: pytest.MonkeyPatch, keep: float | None
) -> None:
    case = make(STOCK, keep=keep).to(torch.float32)
    truth = case.everything(STOCK)
    rounded = case._replace(inputs=case.inputs.detach().bfloat16().requires_grad_())
    monkeypatch.setattr(cells, "has_lstm_kernel", lambda dtype: False)
    exact, near = case.everything(under_autocast), _with_inputs_of(rounded, case).everything(under_autocast)
    for name, value in truth.items():
        assert torch.equal(exact[name], value), name
        assert_close(near[name], value, 0.05, name)
    assert near["outputs"].dtype == torch.float32
    assert not torch.equal(near["outputs"], truth["outputs"])


def _with_inputs_of(rounded: Case, case: Case) -> Case:
    return case._replace(inputs=rounded.inputs)


@contextmanager
def bfloat16_kernel() -> Iterator[None]:
    """Within, autocast is on, and `torch.lstm` rounds its results to bfloat16, as some CPUs' kernels answer."""
    kernel = torch.lstm

    def rounding(*arguments: Any) -> tuple[Tensor, ...]:
        with torch.autocast("cpu", enabled=False):
            return tuple(result.bfloat16() for result in kernel(*arguments))

    with mock.patch.object(torch, "lstm", rounding), torch.autocast("cpu", torch.bfloat16):
        yield


@pytest.mark.parametrize("keep", [0.5, None])
def test_the_state_of_a_low_precision_kernel_has_the_weights_type(
    monkeypatch: pytest.MonkeyPatch, keep: float | None
) -> None:
    case = make(STOCK, keep=keep).to(torch.float32)
    monkeypatch.setattr(cells, "has_lstm_kernel", lambda dtype: True)
    with bfloat16_kernel():
        outputs, state = case.run(STOCK)
    assert outputs.dtype == torch.bfloat16
    assert {part.dtype for part in state} == {torch.float32}
    case._replace(state=state).run(LOOP)


@NEEDS_GPU
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16, None])
def test_on_a_gpu_it_gives_no_warning_and_keeps_its_types(masked: bool, low: torch.dtype | None) -> None:
    inputs, state = torch.randn(5, 3, 6, device="cuda"), torch.zeros(3, 8, device="cuda")
    weights = LSTMWeights(*(torch.randn(size, device="cuda") / 4 for size in ((32, 6), (32, 8), (32,))))
    mask = (torch.rand(3, 8, device="cuda") < 0.5).float() * 2 if masked else None
    with warnings.catch_warnings(), torch.autocast("cuda", low or torch.bfloat16, enabled=low is not None):
        warnings.simplefilter("error")
        outputs, after = lstm_stock(inputs, (state, state), weights, mask)
        lstm_stock(outputs[..., :6].contiguous(), (state, state), weights, mask)
    assert [part.dtype for part in after] == [torch.float32] * 2
    assert outputs.dtype in (torch.float32, low if low == torch.float16 else torch.float32)


# ---- the GRU and the recurrent highway layer


def test_memory_is_not_masked() -> None:
    """With the update gate wide open every unit keeps what it had, dropped or not, and no factor grows."""
    case = make(LOOPS["gru"], 7, steps=9)
    bias = case.weights.input_bias.detach().clone()
    bias[6:12] = 800.0
    outputs, (state,) = case.with_weights(input_bias=bias).run(LOOPS["gru"])
    assert_close(state, case.state[0], 1e-15)
    assert case.mask is not None
    assert_close(outputs, (case.state[0] * case.mask).expand_as(outputs), 1e-15)


def test_the_state_of_a_low_precision_gru_kernel_has_the_weights_type() -> None:
    case = make(GRU_STOCK).to(torch.float32)
    kernel = torch.gru

    def rounding(*arguments: Any) -> tuple[Tensor, ...]:
        return tuple(result.bfloat16() for result in kernel(*arguments))

    with mock.patch.object(torch, "gru", rounding):
        outputs, state = case.run(GRU_STOCK)
    assert (outputs.dtype, state[0].dtype) == (torch.bfloat16, torch.float32)
    case._replace(state=state).run(LOOPS["gru"])


@NEEDS_GPU
def test_on_a_gpu_a_gru_gives_no_warning_and_keeps_its_types() -> None:
    inputs, state = torch.randn(5, 3, 6, device="cuda"), torch.zeros(3, 8, device="cuda")
    sizes = ((24, 6), (24, 8), (24,), (24,))
    weights = GRUWeights(*(torch.randn(size, device="cuda") / 4 for size in sizes))
    with warnings.catch_warnings(), torch.autocast("cuda", torch.bfloat16):
        warnings.simplefilter("error")
        outputs, after = gru_stock(inputs, state, weights)
    assert (outputs.dtype, after.dtype) == (torch.float32, torch.float32)


@forms.forms_of(LOOPS["rhn"], BATCHED, RHN_COMPILED)
def test_a_closed_gate_carries_the_raw_state_and_an_open_one_replaces_it(form: Form) -> None:
    case = make(form, 7, depth=4)
    for gate in (-800.0, 800.0):
        bias = case.weights.bias.detach().clone()
        bias[:, 6:] = gate
        outputs, (state,) = case.with_weights(bias=bias).run(form)
        assert torch.equal(outputs[-1], state)
        if gate < 0:
            assert_close(state, case.state[0], 1e-15)
        else:
            assert (state.abs() < 1).all()


@forms.forms_of(LOOPS["rhn"], BATCHED, RHN_COMPILED)
def test_a_layer_without_depth_is_refused(form: Form) -> None:
    case = make(form)
    case = case.with_weights(hidden=case.weights.hidden[:0], bias=case.weights.bias[:0])
    with pytest.raises(ArgumentError, match=r"weights hidden has the shape \[0, 12, 6\], but must be \[1, 12, 6\]"):
        case.run(form)
