"""The GRU layer on PyTorch's kernel against its definition, the loop: outputs, raw state and every gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from support.layer_cases import gru_case
from support.layer_truth import check, check_in_float32
from support.rounding_kernel import bfloat16_from
from tiedlm.layers.gru import gru_loop
from tiedlm.layers.gru_stock import gru_stock

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


@given(CASES)
@settings(max_examples=60)
def test_is_the_loop_in_float64(drawn: dict[str, Any]) -> None:
    one = gru_case(**drawn)
    check(one.everything(gru_stock), one.everything(gru_loop), 1e-12)


@given(CASES)
@settings(max_examples=40)
def test_is_the_loop_in_float32(drawn: dict[str, Any]) -> None:
    check_in_float32(gru_stock, gru_loop, gru_case(**drawn).to(torch.float32))


@pytest.mark.parametrize("keep", [0.35, 0.7])
def test_is_the_loop_at_the_papers_window(keep: float) -> None:
    single = gru_case(1, steps=35, streams=20, inputs=40, units=41, keep=keep, size=0.1).to(torch.float32)
    check(single.everything(gru_stock), single.to(torch.float64).everything(gru_loop), 1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_units_dropped_in_every_stream_are_no_special_case(dtype: torch.dtype) -> None:
    one = gru_case(3)._replace(mask=torch.zeros(3, 6, dtype=torch.float64)).to(dtype)
    found, truth = one.everything(gru_stock), one.to(torch.float64).everything(gru_loop)
    assert (found["outputs"] == 0).all()
    check(found, truth, 1e-12 if dtype == torch.float64 else 1e-5)


@pytest.mark.parametrize("gate", [-200.0, 200.0])
def test_update_gates_that_are_shut_or_wide_open_change_nothing(gate: float) -> None:
    """Where z underflows to 0 the closed form's products hold exact zeros; where it is 1, nothing is forgotten."""
    one = gru_case(4).to(torch.float32)
    bias = one.weights.input_bias.detach().clone()
    bias[6:12] = gate
    one = one._replace(weights=one.weights._replace(input_bias=bias.requires_grad_()))
    check(one.everything(gru_stock), one.to(torch.float64).everything(gru_loop), 1e-5)


def test_it_leaves_its_arguments_as_they_were() -> None:
    one = gru_case(6)
    before = {name: leaf.detach().clone() for name, leaf in one.leaves.items()}
    one.everything(gru_stock)
    assert all(torch.equal(leaf, before[name]) for name, leaf in one.leaves.items())


@pytest.mark.parametrize("keep", [0.5, None])
def test_a_state_out_of_a_kernel_of_autocasts_type_is_one_for_the_next_window(keep: float | None) -> None:
    one = gru_case(0, keep=keep).to(torch.float32)
    with bfloat16_from("gru"):
        outputs, state = one.run(gru_stock)
    assert outputs.dtype == torch.bfloat16
    assert state.dtype == torch.float32
    one._replace(state=state).run(gru_loop)
