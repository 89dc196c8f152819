"""What the LSTM layer has of its own: PyTorch's module without a mask, the output gate that a mask closes, kernels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor

from support import cells as forms
from support.cells import COMPILED, LOOPS, STOCK, Case, Form, check, check_is_the_loop, make
from support.compare import assert_close
from support.dispatch import Recorder
from support.gpus import NEEDS_GPU
from support.native_code import needs_a_compiler
from tiedlm.nn import cells
from tiedlm.nn.lstm import LSTMWeights, append_mask_columns, append_stream_one_hot, lstm_stock

LOOP = LOOPS["lstm"]
every_form = forms.forms_of(LOOP, STOCK, COMPILED)


def torch_lstm(inputs: Tensor, state: Any, weights: LSTMWeights, mask: Tensor | None) -> Any:
    """`torch.nn.LSTM` with these weights, called as a layer; its gradients reach them too."""
    assert mask is None
    module = torch.nn.LSTM(inputs.shape[2], state[0].shape[1], dtype=inputs.dtype)
    names = {"weight_ih_l0": weights.input, "weight_hh_l0": weights.hidden, "bias_ih_l0": weights.bias}
    names["bias_hh_l0"] = torch.zeros_like(weights.bias)
    both = (inputs, tuple(part.unsqueeze(0) for part in state))
    outputs, after = torch.func.functional_call(module, names, both)
    return outputs, tuple(part[0] for part in after)


@every_form
@pytest.mark.parametrize(("steps", "streams"), [(1, 1), (1, 4), (7, 1), (6, 3)])
def test_without_a_mask_it_is_pytorchs_lstm(form: Form, steps: int, streams: int) -> None:
    case = make(form, 1, steps=steps, streams=streams, keep=None)
    check(case.everything(form), case.everything(torch_lstm), 1e-13)


@every_form
def test_a_kept_unit_counts_by_one_over_keep(form: Form) -> None:
    """A mask of 1/keep throughout is PyTorch's LSTM with W_hh / keep, and outputs / keep."""
    case = make(form, 7, keep=None)
    outputs, state = case._replace(mask=torch.full((3, 6), 2.5, dtype=torch.float64)).run(form)
    truth, true_state = case.with_weights(hidden=case.weights.hidden * 2.5).run(torch_lstm)
    assert_close(outputs, truth * 2.5, 1e-13)
    for part, true_part in zip(state, true_state, strict=True):
        assert_close(part, true_part, 1e-13)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_an_output_gate_that_is_wide_open_is_closed_all_the_same(dtype: torch.dtype) -> None:
    case = make(STOCK, 4).to(dtype)
    bias = case.weights.bias.detach().clone()
    bias[18:] = 200.0
    case = case.with_weights(bias=bias.requires_grad_())
    assert case.mask is not None
    assert torch.equal(case.run(STOCK)[0] == 0, (case.mask == 0).expand(4, 3, 6))
    check(case.everything(STOCK), case.to(torch.float64).everything(LOOP), 1e-5)


def test_the_gate_that_a_mask_closes_is_moved_and_no_other() -> None:
    inputs, weight = torch.randn(4, 3, 5, dtype=torch.float64), torch.randn(8, 5, dtype=torch.float64)
    kept = torch.tensor([[True, False], [True, True], [False, False]])
    moved = append_stream_one_hot(inputs) @ append_mask_columns(weight, kept).T - inputs @ weight.T
    expected = torch.zeros(4, 3, 8, dtype=torch.float64)
    expected[..., 6:] = torch.where(kept, 0.0, -1000.0)
    assert torch.allclose(moved, expected)


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
