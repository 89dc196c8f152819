"""The layer with its steps in one kernel against its definition, the loop: run by `test_lstm_triton`.

On a CPU where Triton interprets, with one program for all units, else on a GPU.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from support import lstm_truth
from support.lstm_cases import case
from support.triton_programs import farthest, run_programs
from support.triton_tests import DEVICE
from tiedlm.errors import ArgumentError
from tiedlm.layers import lstm_kernels, lstm_triton
from tiedlm.layers.lstm import LSTMState, LSTMWeights, lstm_loop
from tiedlm.layers.lstm_batched import Kept


def layer(inputs: Tensor, state: LSTMState, weights: LSTMWeights, mask: Tensor | None) -> tuple[Tensor, LSTMState]:
    """The layer there, with everything brought there and back."""
    state, weights = tuple(part.to(DEVICE) for part in state), LSTMWeights(*(weight.to(DEVICE) for weight in weights))  # pyright: ignore[reportAssignmentType]
    mask = None if mask is None else mask.to(DEVICE)
    outputs, (hidden, cell) = lstm_triton.lstm_triton(inputs.to(DEVICE), state, weights, mask)
    return outputs.cpu(), (hidden.cpu(), cell.cpu())


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of float32 as it is."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@given(lstm_truth.CASES)
@settings(max_examples=40 if DEVICE == "cpu" else 10, deadline=None)  # a GPU's kernels are compiled for each size
def test_is_the_loop(drawn: dict[str, Any]) -> None:
    lstm_truth.check_in_float32(layer, drawn)


@pytest.mark.parametrize("keep", [0.35, 0.7])
def test_is_the_loop_at_the_papers_window(keep: float) -> None:
    lstm_truth.check_at_the_papers_window(layer, keep)


WIDE = pytest.param(20, 650, marks=pytest.mark.skipif(DEVICE == "cpu", reason="it takes half a minute"))


@pytest.mark.parametrize(("streams", "units"), [(1, 200), (20, 200), (33, 256), (64, 17), WIDE])
def test_is_the_loop_at_other_sizes(streams: int, units: int) -> None:
    one = case(3, steps=5, streams=streams, inputs=30, units=units, keep=0.5, size=0.1).to(torch.float32)
    lstm_truth.check(one.everything(layer), one.to(torch.float64).everything(lstm_loop), 1e-5)


def test_gradients_reach_back_through_a_carried_state_under_another_mask() -> None:
    lstm_truth.check_carried_state(layer, torch.float32)


def test_units_dropped_in_every_stream_are_no_special_case() -> None:
    lstm_truth.check_all_dropped(layer, torch.float32)


def test_it_leaves_its_arguments_as_they_were() -> None:
    lstm_truth.check_arguments_untouched(layer, torch.float32)


def test_a_mask_may_hold_any_numbers() -> None:
    mask = torch.randn(3, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    one = case(4)._replace(mask=mask)
    lstm_truth.check(one.to(torch.float32).everything(layer), one.everything(lstm_loop), 1e-5)


@pytest.mark.parametrize("size", [1e-4, 1.0, 5.0])
def test_gates_that_hardly_open_and_gates_at_their_ends(size: float) -> None:
    lstm_truth.check_gates_at_their_ends(layer, size)


def test_what_is_no_number_stays_none() -> None:
    lstm_truth.check_no_number_stays_none(layer)


BITS = pytest.mark.skipif(DEVICE == "cpu", reason="Triton's interpreter multiplies the bits of bfloat16")


@pytest.mark.parametrize("low", [pytest.param(torch.bfloat16, marks=BITS), torch.float16])
@pytest.mark.parametrize(("steps", "streams", "units"), [(9, 7, 33), (35, 20, 200), (5, 40, 200)])
def test_under_autocast_products_are_rounded_and_sums_are_not(
    steps: int, streams: int, units: int, low: torch.dtype
) -> None:
    size = 0.2 if units < 100 else 0.07
    one = case(11, steps=steps, streams=streams, inputs=40, units=units, size=size).to(torch.float32)
    truth = one.to(torch.float64).everything(lstm_loop)
    with torch.autocast(DEVICE, low):
        found = one.everything(layer)
    assert {value.dtype for value in found.values()} == {torch.float32}
    lstm_truth.check(found, truth, 3e-2)
    with pytest.raises(AssertionError):
        lstm_truth.check(found, truth, 1e-4)


@pytest.mark.skipif(DEVICE == "cpu", reason="the interpreter does not round to TensorFloat-32")
@pytest.mark.parametrize("streams", [20, 40])
def test_with_tensorfloat_32_it_is_the_loop_up_to_ten_bits(streams: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    one = case(13, steps=35, streams=streams, inputs=40, units=200, size=0.07).to(torch.float32)
    found, truth = one.everything(layer), one.to(torch.float64).everything(lstm_loop)
    lstm_truth.check(found, truth, 1e-2)
    with pytest.raises(AssertionError):
        lstm_truth.check(found, truth, 1e-6)


def test_the_same_numbers_give_the_same_bits() -> None:
    one = case(12, steps=9, streams=20, inputs=40, units=100).to(torch.float32)
    first, again = one.everything(layer), one.everything(layer)
    assert all(torch.equal(value, again[name]) for name, value in first.items())


def test_a_second_derivative_is_refused() -> None:
    one = case(7).to(torch.float32)
    outputs, _ = one.run(layer)
    with pytest.raises(ArgumentError, match=r"lstm_triton gives .*use lstm_loop"):
        torch.autograd.grad(outputs.sum(), [one.bias], create_graph=True)


@pytest.mark.parametrize(
    ("sizes", "dtype", "reason"),
    [
        ({}, torch.float64, "weights are torch.float64, and must be torch.float32"),
        ({"units": 1025, "inputs": 1}, torch.float32, "it has 1,025 units, and may have 1,024 at most"),
        ({"streams": 65}, torch.float32, "it has 65 streams, and may have 64 at most"),
    ],
)
def test_what_it_has_no_kernel_for_is_refused(sizes: dict[str, int], dtype: torch.dtype, reason: str) -> None:
    with pytest.raises(ArgumentError, match=f"{reason}. Use lstm_stock"):
        case(**sizes).to(dtype).run(layer)


SHARES = {"ROWS": 16, "UNITS": 16, "INNER": 32, "PRECISION": "ieee"}
BESIDE_EACH_OTHER = pytest.mark.skipif(DEVICE != "cpu", reason="on a GPU every check has several programs")


def window() -> tuple[list[Tensor], Kept, Tensor, tuple[Tensor, ...], tuple[Tensor, Tensor, Tensor]]:
    """W_ih x + b, W_hh and the mask of six steps of 40 units, and what one program alone makes of them."""
    one = case(5, steps=6, streams=3, inputs=4, units=40, keep=0.5).to(torch.float32)
    assert one.mask is not None
    given = [(one.inputs @ one.weight_input.T + one.bias).detach(), one.weight_hidden.detach(), one.mask]
    kept, last = lstm_triton.run_forward(given[0].clone(), (one.hidden.detach(), one.cell.detach()), *given[1:])
    arriving = torch.randn(6, 3, 40), torch.randn(3, 40), torch.randn(3, 40)
    return given, kept, last, arriving, lstm_triton.run_back(arriving, kept, *given[1:])


def forward_of_three(waits: bool) -> float:
    """How far three programs are off that wait for each other, or that come one after the other."""
    (projected, weight, mask), kept, last, _, _ = window()
    found = [projected, *(torch.zeros_like(one) for one in (*kept[1:], last))]
    found[1][0], found[3][0] = kept.cells[0], kept.read[0]
    arguments = (*found, weight, mask, torch.zeros(1, dtype=torch.int32), 6, 3, 40)
    sizes = SHARES | {"PROGRAMS": 3 if waits else 1}
    ended = run_programs(lstm_kernels.lstm_forward, arguments, sizes, 3, at_once=waits)
    assert ended == [0, 0, 0]
    return farthest(found, [*kept, last])


@BESIDE_EACH_OTHER
def test_programs_that_run_at_once_wait_for_each_other_forward() -> None:
    assert forward_of_three(waits=True) < 1e-5
    assert forward_of_three(waits=False) > 1e-2


@BESIDE_EACH_OTHER
def test_programs_that_run_at_once_wait_for_each_other_back() -> None:
    (_, weight, mask), kept, _, (of_outputs, of_hidden, of_cell), truth = window()
    found = torch.zeros_like(truth[0]), torch.zeros_like(truth[1]), of_cell.clone()
    gradients = (of_outputs, of_hidden, found[2], found[0], found[1], torch.zeros(1, dtype=torch.int32))
    arguments = (*kept[:3], weight, mask, *gradients, 6, 3, 40)
    assert run_programs(lstm_kernels.lstm_backward, arguments, SHARES | {"PROGRAMS": 3}, 3) == [0, 0, 0]
    assert farthest(found, truth) < 1e-5
