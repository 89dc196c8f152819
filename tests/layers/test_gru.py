"""The GRU layer's definition: PyTorch's own without a mask, that of the VD-LSTM's masks with one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from oracles import gru as oracle
from support.compare import assert_close
from support.layer_cases import Case, gru_case
from support.lstm_cases import mask_of
from tiedlm.errors import ArgumentError
from tiedlm.layers.gru import GRUWeights, gru_loop
from tiedlm.layers.gru_stock import gru_stock

both_forms = pytest.mark.parametrize("layer", [gru_loop, gru_stock])


def torch_gru(inputs: Tensor, state: Tensor, weights: GRUWeights, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """`torch.nn.GRU` with these weights, called as a layer; its gradients reach them too."""
    assert mask is None
    module = torch.nn.GRU(inputs.shape[2], state.shape[1], dtype=inputs.dtype)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    named: dict[str, Tensor] = dict(zip(names, weights, strict=True))
    outputs, last = torch.func.functional_call(module, named, (inputs, state.unsqueeze(0)))
    return outputs, last[0]


def of_oracle(one: Case) -> oracle.Layer:
    mask = torch.ones_like(one.state) if one.mask is None else one.mask
    weights = [weight.detach().numpy() for weight in one.weights]
    return oracle.Layer(*weights, mask=mask.detach().numpy())


@pytest.mark.parametrize(("steps", "streams"), [(1, 1), (1, 4), (7, 1), (6, 3)])
def test_without_a_mask_it_is_the_stock_gru(steps: int, streams: int) -> None:
    one = gru_case(1, steps=steps, streams=streams, keep=None)
    found, truth = one.everything(gru_loop), one.everything(torch_gru)
    for name, value in found.items():
        assert_close(value, truth[name], 1e-13, name)


@both_forms
@pytest.mark.parametrize("keep", [None, 0.05, 0.5, 1.0])
@pytest.mark.parametrize(("steps", "streams", "inputs", "units"), [(1, 1, 1, 1), (5, 3, 4, 7), (3, 2, 9, 3)])
def test_agrees_with_the_oracle(
    layer: Any, keep: float | None, steps: int, streams: int, inputs: int, units: int
) -> None:
    one = gru_case(2, steps=steps, streams=streams, inputs=inputs, units=units, keep=keep)
    outputs, state = one.run(layer)
    truth, (h,) = oracle.network([of_oracle(one)], one.inputs.detach().numpy(), one.state.detach().numpy()[None])
    assert_close(outputs, truth, 1e-13)
    assert_close(state, h, 1e-13)


@both_forms
def test_states_are_carried_over_windows_under_masks_of_their_own(layer: Any) -> None:
    one = gru_case(3)
    state, truth_state = one.state, one.state.detach().numpy()
    for window in range(3):
        one = one._replace(state=state, mask=mask_of(9 + window, 3, 6, 0.5))
        outputs, state = one.run(layer)
        truth, (truth_state,) = oracle.network([of_oracle(one)], one.inputs.detach().numpy(), truth_state[None])
        assert_close(outputs, truth, 1e-12, f"window {window}")
        assert_close(state, truth_state, 1e-12, f"window {window}")


@both_forms
@pytest.mark.parametrize("keep", [None, 0.5])
def test_gradients_are_the_finite_differences(layer: Any, keep: float | None) -> None:
    one = gru_case(5, steps=3, streams=2, inputs=2, units=3, keep=keep)

    def function(*leaves: Tensor) -> Any:
        return layer(leaves[0], leaves[1], GRUWeights(*leaves[2:]), one.mask)

    assert torch.autograd.gradcheck(function, list(one.leaves.values()), eps=1e-6, atol=1e-8, rtol=1e-6)


@both_forms
def test_a_dropped_unit_is_shut_in_time_and_in_depth_at_every_step(layer: Any) -> None:
    one = gru_case(6, steps=6)
    assert one.mask is not None
    dropped = one.mask == 0
    outputs, state = one.run(layer)
    assert torch.equal(outputs == 0, dropped.expand_as(outputs))
    assert (state != 0).all()  # carried raw
    for stream in range(3):
        changed = one.weights.hidden.detach().clone()
        changed[:, dropped[stream]] += 1000.0
        other, other_state = one._replace(weights=one.weights._replace(hidden=changed)).run(layer)
        assert_close(other[:, stream], outputs[:, stream], 1e-15)
        assert_close(other_state[stream], state[stream], 1e-15)


@both_forms
def test_memory_is_not_masked(layer: Any) -> None:
    """With the update gate wide open every unit keeps what it had, dropped or not, and no factor grows."""
    one = gru_case(7, steps=9)
    bias = one.weights.input_bias.detach().clone()
    bias[6:12] = 800.0
    outputs, state = one._replace(weights=one.weights._replace(input_bias=bias)).run(layer)
    assert_close(state, one.state, 1e-15)
    assert one.mask is not None
    assert_close(outputs, (one.state * one.mask).expand_as(outputs), 1e-15)


@both_forms
def test_a_mask_that_keeps_all_is_none(layer: Any) -> None:
    one = gru_case(8, keep=None)
    ones = one._replace(mask=torch.ones_like(one.state))
    for found, truth in zip(ones.run(layer), one.run(layer), strict=True):
        assert_close(found, truth, 1e-14)


@both_forms
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": torch.zeros(4, 3, 7)}, r"inputs have the shape \[4, 3, 7\], but must be \[steps, streams, 5\]"),
        ({"inputs": torch.zeros(4, 5)}, r"inputs have the shape \[4, 5\], but must be \[steps, streams, 5\]"),
        ({"state": torch.zeros(2, 6)}, r"state h has the shape \[2, 6\], but must be \[3, 6\]: \[streams, units\]"),
        ({"mask": torch.ones(4, 3, 6)}, r"mask has the shape \[4, 3, 6\], but must be \[3, 6\]"),
    ],
)
def test_shapes_that_do_not_go_together_are_refused(layer: Any, change: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{message}"):
        gru_case()._replace(**change).run(layer)
