"""What each cell has of its own: gates that a mask closes, kernels of low precision, memory that no mask touches."""

import warnings
from typing import Any

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
    Form,
    check,
    check_is_the_loop,
    make,
)
from tiedlm.errors import ArgumentError
from tiedlm.nn import cells

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
    exact, near = case.everything(under_autocast), rounded.everything(under_autocast)
    for name, value in truth.items():
        assert torch.equal(exact[name], value), name
        assert_close(near[name], value, 0.05, name)
    assert near["outputs"].dtype == torch.float32
    assert not torch.equal(near["outputs"], truth["outputs"])


STOCK_CASES = pytest.mark.parametrize(("form", "keep"), [(STOCK, 0.5), (STOCK, None), (GRU_STOCK, None)])


@STOCK_CASES
def test_the_state_of_a_low_precision_kernel_has_the_weights_type(
    monkeypatch: pytest.MonkeyPatch, form: Form, keep: float | None
) -> None:
    case, kernel = make(form, keep=keep).to(torch.float32), getattr(torch, form.cell)

    def rounding(*arguments: Any) -> tuple[Tensor, ...]:
        """The kernel with results in bfloat16, as some CPUs' kernels give under autocast."""
        with torch.autocast("cpu", enabled=False):
            return tuple(result.bfloat16() for result in kernel(*arguments))

    monkeypatch.setattr(cells, "has_lstm_kernel", lambda dtype: True)
    monkeypatch.setattr(torch, form.cell, rounding)
    with torch.autocast("cpu", torch.bfloat16):
        outputs, state = case.run(form)
    assert outputs.dtype == torch.bfloat16
    assert {part.dtype for part in state} == {torch.float32}
    case._replace(state=state).run(LOOPS[form.cell])


@NEEDS_GPU
@STOCK_CASES
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16, None])
def test_on_a_gpu_it_gives_no_warning_and_keeps_its_types(
    form: Form, keep: float | None, low: torch.dtype | None
) -> None:
    case = make(form, inputs=6, units=6, keep=keep).to(torch.float32)
    case = case.with_leaves(lambda _, leaf: leaf.detach().cuda())
    case = case._replace(mask=None if case.mask is None else case.mask.cuda())
    with warnings.catch_warnings(), torch.autocast("cuda", low or torch.bfloat16, enabled=low is not None):
        warnings.simplefilter("error")
        outputs, after = case.run(form)
        case._replace(inputs=outputs).run(form)
    assert {part.dtype for part in after} == {torch.float32}
    assert outputs.dtype in (torch.float32, low if low == torch.float16 else torch.float32)


# ---- the recurrent highway layer


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
