"""The recurrent highway layer's definition: Zilly et al.'s equations, and what its mask touches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from oracles import rhn as oracle
from support.compare import assert_close
from support.layer_cases import Case, rhn_case
from support.lstm_cases import mask_of
from tiedlm.errors import ArgumentError
from tiedlm.layers.rhn import RHNWeights, rhn_loop
from tiedlm.layers.rhn_batched import rhn_batched

both_forms = pytest.mark.parametrize("layer", [rhn_loop, rhn_batched])


def of_oracle(one: Case) -> oracle.Layer:
    mask = torch.ones_like(one.state) if one.mask is None else one.mask
    weights = [weight.detach().numpy() for weight in one.weights]
    whole = torch.ones(one.inputs.shape[1:], dtype=torch.float64)
    return oracle.Layer(*weights, input_mask=whole.numpy(), state_mask=mask.detach().numpy())


@both_forms
@pytest.mark.parametrize("keep", [None, 0.05, 0.5, 1.0])
@pytest.mark.parametrize(
    ("steps", "streams", "inputs", "units", "depth"),
    [(1, 1, 1, 1, 1), (5, 3, 4, 7, 2), (3, 2, 9, 3, 5), (2, 2, 3, 4, 10), (2, 1, 3, 3, 13)],
)
def test_agrees_with_the_oracle(
    layer: Any, keep: float | None, steps: int, streams: int, inputs: int, units: int, depth: int
) -> None:
    one = rhn_case(2, steps=steps, streams=streams, inputs=inputs, units=units, depth=depth, keep=keep)
    outputs, state = one.run(layer)
    truth, (s,) = oracle.network([of_oracle(one)], one.inputs.detach().numpy(), one.state.detach().numpy()[None])
    assert_close(outputs, truth, 1e-12)
    assert_close(state, s, 1e-12)


@both_forms
def test_states_are_carried_over_windows_under_masks_of_their_own(layer: Any) -> None:
    one = rhn_case(3)
    state, truth_state = one.state, one.state.detach().numpy()
    for window in range(3):
        one = one._replace(state=state, mask=mask_of(9 + window, 3, 6, 0.5))
        outputs, state = one.run(layer)
        truth, (truth_state,) = oracle.network([of_oracle(one)], one.inputs.detach().numpy(), truth_state[None])
        assert_close(outputs, truth, 1e-12, f"window {window}")
        assert_close(state, truth_state, 1e-12, f"window {window}")


@both_forms
@pytest.mark.parametrize("keep", [None, 0.5])
@pytest.mark.parametrize("depth", [1, 3])
def test_gradients_are_the_finite_differences(layer: Any, keep: float | None, depth: int) -> None:
    one = rhn_case(5, steps=3, streams=2, inputs=2, units=3, depth=depth, keep=keep)

    def function(*leaves: Tensor) -> Any:
        return layer(leaves[0], leaves[1], RHNWeights(*leaves[2:]), one.mask)

    assert torch.autograd.gradcheck(function, list(one.leaves.values()), eps=1e-6, atol=1e-8, rtol=1e-6)


@both_forms
def test_weights_that_read_a_dropped_unit_move_nothing_at_any_step_or_depth(layer: Any) -> None:
    one = rhn_case(6, steps=5)
    assert one.mask is not None
    outputs, _ = one.run(layer)
    assert (outputs != 0).all()  # the output has no mask of this layer
    for stream in range(3):
        changed = one.weights.hidden.detach().clone()
        changed[:, :, one.mask[stream] == 0] += 1000.0
        other, _ = one._replace(weights=one.weights._replace(hidden=changed)).run(layer)
        assert_close(other[:, stream], outputs[:, stream], 1e-15)


@both_forms
def test_a_gate_that_is_shut_carries_the_raw_state_and_an_open_one_replaces_it(layer: Any) -> None:
    one = rhn_case(7, depth=4)
    for gate, due in ((-800.0, one.state), (800.0, None)):
        bias = one.weights.bias.detach().clone()
        bias[:, 6:] = gate
        _, state = one._replace(weights=one.weights._replace(bias=bias)).run(layer)
        if due is not None:
            assert_close(state, due, 1e-15)
        else:
            assert (state.abs() < 1).all()


@both_forms
def test_a_mask_that_keeps_all_is_none(layer: Any) -> None:
    one = rhn_case(8, keep=None)
    ones = one._replace(mask=torch.ones_like(one.state))
    for found, truth in zip(ones.run(layer), one.run(layer), strict=True):
        assert_close(found, truth, 1e-15)


@both_forms
def test_a_window_may_be_cut_in_two_where_the_mask_is_the_same(layer: Any) -> None:
    one = rhn_case(9, steps=7)
    whole, last = one.run(layer)
    first, between = layer(one.inputs[:3], one.state, one.weights, one.mask)
    second, after = layer(one.inputs[3:], between, one.weights, one.mask)
    assert_close(torch.cat([first, second]), whole, 1e-14)
    assert_close(after, last, 1e-14)


@both_forms
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": torch.zeros(4, 3, 7)}, r"inputs have the shape \[4, 3, 7\], but must be \[steps, streams, 5\]"),
        ({"inputs": torch.zeros(0, 3, 5)}, r"inputs have the shape \[0, 3, 5\], .* with at least one step"),
        ({"state": torch.zeros(2, 6)}, r"state s has the shape \[2, 6\], but must be \[3, 6\]: \[streams, units\]"),
        ({"mask": torch.ones(6)}, r"mask has the shape \[6\], but must be \[3, 6\]"),
        ({"mask": torch.ones(3, 3, 6)}, r"mask has the shape \[3, 3, 6\], but must be \[3, 6\]"),
        ({"hidden": torch.zeros(2, 12, 6)}, r"weights have the shapes \[\[12, 5\], \[2, 12, 6\], \[3, 12\]\]"),
        (
            {"hidden": torch.zeros(3, 12, 7)},
            r"weights have the shapes .* be \[2H, I\], \[L, 2H, H\] and \[L, 2H\]",
        ),
    ],
)
def test_shapes_that_do_not_go_together_are_refused(layer: Any, change: dict[str, Tensor], message: str) -> None:
    one = rhn_case()
    weights = one.weights._replace(**{name: value for name, value in change.items() if name == "hidden"})
    change = {name: value for name, value in change.items() if name != "hidden"}
    with pytest.raises(ArgumentError, match=f"^{message}"):
        one._replace(weights=weights, **change).run(layer)
