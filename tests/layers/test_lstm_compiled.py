"""The layer with compiled steps against its definition, the loop: outputs, raw states and every gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings

from support import lstm_truth
from support.dispatch import Recorder
from support.lstm_cases import case
from support.native_code import needs_a_compiler
from support.threads import torch_threads
from tiedlm.errors import ArgumentError
from tiedlm.layers.lstm import lstm_loop
from tiedlm.layers.lstm_compiled import lstm_compiled

pytestmark = needs_a_compiler


@given(lstm_truth.CASES)
@settings(max_examples=150)
def test_is_the_loop_in_float64(drawn: dict[str, Any]) -> None:
    lstm_truth.check_in_float64(lstm_compiled, drawn)


@given(lstm_truth.CASES)
@settings(max_examples=100)
def test_is_the_loop_in_float32(drawn: dict[str, Any]) -> None:
    lstm_truth.check_in_float32(lstm_compiled, drawn)


@pytest.mark.parametrize("keep", [0.35, 0.7])
def test_is_the_loop_at_the_papers_window(keep: float) -> None:
    lstm_truth.check_at_the_papers_window(lstm_compiled, keep)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gradients_reach_back_through_a_carried_state_under_another_mask(dtype: torch.dtype) -> None:
    lstm_truth.check_carried_state(lstm_compiled, dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_units_dropped_in_every_stream_are_no_special_case(dtype: torch.dtype) -> None:
    lstm_truth.check_all_dropped(lstm_compiled, dtype)


def test_it_leaves_its_arguments_as_they_were() -> None:
    lstm_truth.check_arguments_untouched(lstm_compiled)


def test_a_mask_may_hold_any_numbers() -> None:
    mask = torch.randn(3, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    one = case(4)._replace(mask=mask)
    lstm_truth.check(one.everything(lstm_compiled), one.everything(lstm_loop), 1e-12)


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_threads_share_the_work_and_change_no_bit_of_the_steps(threads: int) -> None:
    one = case(8, steps=9, streams=7, inputs=5, units=70)
    with torch_threads(1):
        alone = one.everything(lstm_compiled)
    with torch_threads(threads):
        together = one.everything(lstm_compiled)
    lstm_truth.check(together, alone, 1e-14)
    assert all(torch.equal(together[name], alone[name]) for name in ("outputs", "raw h", "c", "gradient of cell"))


@pytest.mark.parametrize("part", ["outputs", "raw h", "c"])
def test_one_result_alone_passes_its_gradient_back(part: str) -> None:
    one = case(5)

    def gradients(layer: Any) -> dict[str, torch.Tensor]:
        outputs, (hidden, cell) = one.run(layer)
        total = {"outputs": outputs, "raw h": hidden, "c": cell}[part].square().sum()
        return dict(zip(one.leaves, torch.autograd.grad(total, list(one.leaves.values())), strict=True))

    lstm_truth.check(gradients(lstm_compiled), gradients(lstm_loop), 1e-12)


@pytest.mark.parametrize("size", [1e-4, 1.0, 5.0])
def test_gates_that_hardly_open_and_gates_at_their_ends(size: float) -> None:
    lstm_truth.check_gates_at_their_ends(lstm_compiled, size)


def test_what_is_no_number_stays_none() -> None:
    lstm_truth.check_no_number_stays_none(lstm_compiled)


def test_under_autocast_the_batched_products_alone_are_rounded() -> None:
    one = case(11, steps=9, streams=7, inputs=40, units=33, size=0.2).to(torch.float32)
    truth = one.to(torch.float64).everything(lstm_loop)
    with torch.autocast("cpu", torch.bfloat16):
        found = one.everything(lstm_compiled)
    assert {value.dtype for value in found.values()} == {torch.float32}
    lstm_truth.check(found, truth, 2e-2)
    with pytest.raises(AssertionError):
        lstm_truth.check(found, truth, 1e-4)


def test_inputs_that_ask_for_no_gradient_cost_no_product() -> None:
    counts = []
    for asked in (True, False):
        one = case(6)
        one = one._replace(inputs=one.inputs.detach().requires_grad_(asked))
        outputs, _ = one.run(lstm_compiled)
        with Recorder() as recorder:
            outputs.sum().backward()
        counts.append(sum(call.multiplications > 0 for call in recorder.calls))
        assert one.weight_input.grad is not None
    assert counts[0] == counts[1] + 1


def test_it_takes_as_many_calls_for_many_steps_as_for_few() -> None:
    counts = []
    for steps in (3, 30):
        with Recorder() as recorder:
            case(5, steps=steps).everything(lstm_compiled)
        counts.append(len(recorder.calls))
    assert counts[0] == counts[1]


def test_a_second_derivative_is_refused() -> None:
    one = case(7)
    outputs, _ = one.run(lstm_compiled)
    with pytest.raises(ArgumentError, match="use lstm_loop"):
        torch.autograd.grad(outputs.sum(), [one.bias], create_graph=True)


def test_numbers_of_another_type_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"torch.float16, but .* torch.float32 or torch.float64: .*lstm_stock"):
        case(7).to(torch.float16).run(lstm_compiled)
