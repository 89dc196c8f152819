"""The recurrent highway layer with batched products against its definition: outputs, states and every gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from support.compare import assert_close
from support.layer_cases import rhn_case
from support.layer_truth import check, check_in_float32
from support.lstm_cases import mask_of
from support.native_code import needs_a_compiler
from tiedlm.errors import ArgumentError
from tiedlm.layers.rhn import rhn_loop
from tiedlm.layers.rhn_batched import rhn_batched, rhn_compiled

SIZES = st.integers(1, 6)
COMPILED = pytest.param(rhn_compiled, id="compiled", marks=needs_a_compiler)
each_form = pytest.mark.parametrize("layer", [pytest.param(rhn_batched, id="batched"), COMPILED])
CASES = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**31),
        "steps": SIZES,
        "streams": st.integers(1, 13),
        "inputs": SIZES,
        "units": st.integers(1, 19),
        "depth": st.integers(1, 10),
        "keep": st.sampled_from([None, 0.25, 0.5, 0.75, 1.0]),
        "size": st.sampled_from([0.1, 0.5]),
    }
)


@each_form
@given(CASES)
@settings(max_examples=60)
def test_is_the_loop_in_float64(layer: Any, drawn: dict[str, Any]) -> None:
    one = rhn_case(**drawn)
    check(one.everything(layer), one.everything(rhn_loop), 1e-12)


@each_form
@given(CASES)
@settings(max_examples=40)
def test_is_the_loop_in_float32(layer: Any, drawn: dict[str, Any]) -> None:
    check_in_float32(layer, rhn_loop, rhn_case(**drawn).to(torch.float32))


@each_form
def test_is_the_loop_at_the_papers_window(layer: Any) -> None:
    single = rhn_case(1, steps=35, streams=20, inputs=20, units=21, depth=10, keep=0.75, size=0.1).to(torch.float32)
    check(single.everything(layer), single.to(torch.float64).everything(rhn_loop), 1e-5)


@each_form
def test_gradients_reach_back_through_a_carried_state_under_another_mask(layer: Any) -> None:
    one = rhn_case(2, steps=3)

    def windows(one_layer: Any) -> dict[str, torch.Tensor]:
        def two(inputs: Any, state: Any, weights: Any, _: Any) -> Any:
            outputs = []
            for seed in (1, 2):
                output, state = one_layer(inputs, state, weights, mask_of(seed, 3, 6, 0.5))
                outputs.append(output)
            return torch.cat(outputs), state

        return one.everything(two)

    check(windows(layer), windows(rhn_loop), 1e-12)


@each_form
@pytest.mark.parametrize("frozen", ["state", "hidden", "mask"])
def test_what_asks_for_no_gradient_gets_none_and_changes_no_other(frozen: str, layer: Any) -> None:
    one = rhn_case(3)
    leaves = one.leaves
    if frozen == "mask":
        assert one.mask is not None
        mask = one.mask.clone().requires_grad_()
        layer(one.inputs, one.state, one.weights, mask)[0].sum().backward()
        assert mask.grad is None
        return
    place = "state" if frozen == "state" else "weights hidden"
    leaves[place].requires_grad_(False)
    one.run(layer)[0].square().sum().backward()
    found = {name: leaf.grad for name, leaf in leaves.items()}
    assert found.pop(place) is None
    other = rhn_case(3)
    other.run(rhn_loop)[0].square().sum().backward()
    for name, gradient in found.items():
        assert_close(gradient, other.leaves[name].grad, 1e-12, name)


@each_form
def test_it_leaves_its_arguments_as_they_were(layer: Any) -> None:
    one = rhn_case(4)
    before = {name: leaf.detach().clone() for name, leaf in one.leaves.items()}
    one.everything(layer)
    assert all(torch.equal(leaf, before[name]) for name, leaf in one.leaves.items())


@each_form
def test_outputs_may_be_changed_in_place_before_the_backward_pass(layer: Any) -> None:
    """What autograd needs is its own: a mask on the output, in place, does not spoil it."""
    one = rhn_case(5)
    outputs, _ = one.run(layer)
    outputs.mul_(2.0).sum().backward()
    other = rhn_case(5)
    (other.run(rhn_loop)[0] * 2.0).sum().backward()
    for name, leaf in one.leaves.items():
        assert_close(leaf.grad, other.leaves[name].grad, 1e-12, name)


@each_form
def test_a_second_derivative_is_refused(layer: Any) -> None:
    one = rhn_case(6, steps=2)
    outputs, _ = one.run(layer)
    with pytest.raises(ArgumentError, match="use rhn_loop"):
        torch.autograd.grad(outputs.square().sum(), [one.state], create_graph=True)
