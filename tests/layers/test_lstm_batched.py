"""The layer with batched products against its definition, the loop: outputs, raw states and every gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from support.compare import assert_close, error
from support.dispatch import Recorder
from support.lstm_cases import Case, case, mask_of
from tiedlm.errors import ArgumentError
from tiedlm.layers.lstm import lstm_loop
from tiedlm.layers.lstm_batched import lstm_batched

SIZES = st.integers(1, 7)


CASES = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**31),
        "steps": SIZES,
        "streams": SIZES,
        "inputs": SIZES,
        "units": st.integers(1, 17),
        "keep": st.sampled_from([None, 0.05, 0.2, 0.35, 0.5, 0.7, 0.95, 1.0]),
        "size": st.sampled_from([0.1, 0.5]),
    }
)


def check(found: dict[str, torch.Tensor], truth: dict[str, torch.Tensor], relative: float) -> None:
    for name, value in found.items():
        assert_close(value, truth[name], relative, name)


@given(CASES)
@settings(max_examples=80)
def test_is_the_loop_in_float64(drawn: dict[str, Any]) -> None:
    one = case(**drawn)
    check(one.everything(lstm_batched), one.everything(lstm_loop), 1e-12)


@given(CASES)
@settings(max_examples=60)
def test_is_the_loop_in_float32(drawn: dict[str, Any]) -> None:
    """To 1e-5, or to 20 times the loop's own error where float32 holds no more of the truth than that."""
    single = case(**drawn).to(torch.float32)
    truth, loop = single.to(torch.float64).everything(lstm_loop), single.everything(lstm_loop)
    for name, value in single.everything(lstm_batched).items():
        assert_close(value, truth[name], max(1e-5, 20 * error(loop[name], truth[name])), name)


@pytest.mark.parametrize("keep", [0.35, 0.7])
def test_is_the_loop_at_the_papers_window(keep: float) -> None:
    single = case(1, steps=35, streams=20, inputs=40, units=41, keep=keep, size=0.1).to(torch.float32)
    check(single.everything(lstm_batched), single.to(torch.float64).everything(lstm_loop), 1e-5)


@pytest.mark.parametrize(("dtype", "relative"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_gradients_reach_back_through_a_carried_state_under_another_mask(dtype: torch.dtype, relative: float) -> None:
    one = case(2, steps=3, streams=4, units=9, keep=0.5).to(dtype)

    def windows(layer, single: Case):
        state, outputs = (single.hidden, single.cell), []
        for seed in (1, 2):
            mask = mask_of(seed, 4, 9, 0.5).to(single.inputs.dtype)
            output, state = layer(single.inputs, state, single.weights, mask)
            outputs.append(output)
        return torch.cat(outputs), state

    def everything(layer, single: Case) -> dict[str, torch.Tensor]:
        return single.everything(lambda *_: windows(layer, single))

    check(everything(lstm_batched, one), everything(lstm_loop, one.to(torch.float64)), relative)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_units_dropped_in_every_stream_are_no_special_case(dtype: torch.dtype) -> None:
    one = case(3)._replace(mask=torch.zeros(3, 6, dtype=torch.float64)).to(dtype)
    found = one.everything(lstm_batched)
    truth = one.to(torch.float64).everything(lstm_loop)
    assert (found["outputs"] == 0).all()
    check(found, truth, 1e-12 if dtype == torch.float64 else 1e-5)


def test_a_mask_may_hold_any_numbers() -> None:
    one = case(4)
    one = one._replace(mask=torch.randn(3, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64))
    check(one.everything(lstm_batched), one.everything(lstm_loop), 1e-12)


@pytest.mark.parametrize("part", ["outputs", "raw h", "c"])
def test_one_result_alone_passes_its_gradient_back(part: str) -> None:
    one = case(5)

    def gradients(layer) -> dict[str, torch.Tensor]:
        outputs, (hidden, cell) = one.run(layer)
        total = {"outputs": outputs, "raw h": hidden, "c": cell}[part].square().sum()
        return dict(zip(one.leaves, torch.autograd.grad(total, list(one.leaves.values())), strict=True))

    check(gradients(lstm_batched), gradients(lstm_loop), 1e-12)


def test_inputs_that_ask_for_no_gradient_cost_no_product() -> None:
    counts = []
    for asked in (True, False):
        one = case(6)
        one = one._replace(inputs=one.inputs.detach().requires_grad_(asked))
        outputs, _ = one.run(lstm_batched)
        with Recorder() as recorder:
            outputs.sum().backward()
        counts.append(sum(call.multiplications > 0 for call in recorder.calls))
        assert one.weight_input.grad is not None
    assert counts[0] == counts[1] + 1


def test_a_second_derivative_is_refused() -> None:
    one = case(7)
    outputs, _ = one.run(lstm_batched)
    with pytest.raises(ArgumentError, match="use lstm_loop"):
        torch.autograd.grad(outputs.sum(), [one.bias], create_graph=True)


def test_it_leaves_its_arguments_as_they_were() -> None:
    one = case(6)
    before = {name: leaf.detach().clone() for name, leaf in one.leaves.items()}
    one.everything(lstm_batched)
    assert all(torch.equal(leaf, before[name]) for name, leaf in one.leaves.items())
