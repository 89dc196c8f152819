"""The LSTM layer's definition: PyTorch's own without a mask, the paper's with one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from oracles import lstm as oracle
from support.compare import assert_close
from support.lstm_cases import Case, case, mask_of
from tiedlm.errors import ArgumentError
from tiedlm.layers.lstm import LSTMWeights, lstm_loop
from tiedlm.layers.lstm_stock import lstm_stock


def torch_lstm(inputs: Tensor, state: tuple[Tensor, Tensor], weights: LSTMWeights, mask: Tensor | None) -> Any:
    """`torch.nn.LSTM` with these weights, called as a layer; its gradients reach them too."""
    assert mask is None
    module = torch.nn.LSTM(inputs.shape[2], state[0].shape[1], dtype=inputs.dtype)
    names = {"weight_ih_l0": weights.input, "weight_hh_l0": weights.hidden, "bias_ih_l0": weights.bias}
    names["bias_hh_l0"] = torch.zeros_like(weights.bias)
    both = (inputs, (state[0].unsqueeze(0), state[1].unsqueeze(0)))
    outputs, (hidden, cell) = torch.func.functional_call(module, names, both)
    return outputs, (hidden[0], cell[0])


def of_oracle(one: Case) -> oracle.Layer:
    mask = torch.ones_like(one.cell) if one.mask is None else one.mask
    weight_input, weight_hidden, bias, kept = (
        tensor.detach().numpy() for tensor in (one.weight_input, one.weight_hidden, one.bias, mask)
    )
    return oracle.Layer(weight_input, weight_hidden, bias, kept)


def state_of(*cases: Case) -> Any:
    return tuple(torch.stack([getattr(one, name) for one in cases]).detach().numpy() for name in ("hidden", "cell"))


@pytest.mark.parametrize(("steps", "streams"), [(1, 1), (1, 4), (7, 1), (6, 3)])
def test_without_a_mask_it_is_the_stock_lstm(steps: int, streams: int) -> None:
    one = case(1, steps=steps, streams=streams, keep=None)
    found, truth = one.everything(lstm_loop), one.everything(torch_lstm)
    for name, value in found.items():
        assert_close(value, truth[name], 1e-13, name)


@pytest.mark.parametrize("keep", [None, 0.05, 0.5, 1.0])
@pytest.mark.parametrize(("steps", "streams", "inputs", "units"), [(1, 1, 1, 1), (5, 3, 4, 7), (3, 2, 9, 3)])
def test_agrees_with_the_oracle(keep: float | None, steps: int, streams: int, inputs: int, units: int) -> None:
    one = case(2, steps=steps, streams=streams, inputs=inputs, units=units, keep=keep)
    outputs, (hidden, cell) = one.run(lstm_loop)
    truth, (h, c) = oracle.network([of_oracle(one)], one.inputs.detach().numpy(), state_of(one))
    assert_close(outputs, truth, 1e-13)
    assert_close(hidden, h[0], 1e-13)
    assert_close(cell, c[0], 1e-13)


@pytest.mark.parametrize("layer", [lstm_loop, lstm_stock])
def test_stacked_layers_over_two_windows_with_masks_of_their_own_agree_with_the_oracle(layer: Any) -> None:
    lower, upper = case(3, units=5), case(4, inputs=5)
    state, truth_state = [(one.hidden, one.cell) for one in (lower, upper)], state_of_each(lower, upper)
    for window in range(2):
        lower, upper = (one._replace(mask=mask_of(9 + window, 3, one.cell.shape[1], 0.5)) for one in (lower, upper))
        outputs = lower.inputs
        for k, one in enumerate((lower, upper)):
            outputs, state[k] = layer(outputs, state[k], one.weights, one.mask)
        truth, truth_state = two_layers(lower, upper, truth_state)
        assert_close(outputs, truth, 1e-13)
        for k in range(2):
            assert_close(state[k][0], truth_state[k][0], 1e-13, f"raw h of layer {k}, window {window}")
            assert_close(state[k][1], truth_state[k][1], 1e-13, f"c of layer {k}, window {window}")


def state_of_each(*cases: Case) -> list[Any]:
    return [(one.hidden.detach().numpy(), one.cell.detach().numpy()) for one in cases]


def two_layers(lower: Case, upper: Case, state: list[Any]) -> tuple[Any, list[Any]]:
    """The oracle, layer by layer, since these two differ in width."""
    outputs, new = lower.inputs.detach().numpy(), []
    for one, (h, c) in zip((lower, upper), state, strict=True):
        outputs, (h, c) = oracle.network([of_oracle(one)], outputs, (h[None], c[None]))
        new.append((h[0], c[0]))
    return outputs, new


@pytest.mark.parametrize("keep", [None, 0.5])
def test_gradients_are_the_finite_differences(keep: float | None) -> None:
    one = case(5, steps=3, streams=2, inputs=2, units=3, keep=keep)

    def function(*leaves: Tensor) -> Any:
        outputs, state = Case(*leaves, mask=one.mask).run(lstm_loop)
        return outputs, *state

    assert torch.autograd.gradcheck(function, list(one.leaves.values()), eps=1e-6, atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("layer", [lstm_loop, lstm_stock])
def test_a_dropped_unit_is_shut_in_time_and_in_depth_at_every_step(layer: Any) -> None:
    one = case(6, steps=6)
    assert one.mask is not None
    dropped = one.mask == 0
    outputs, (hidden, cell) = one.run(layer)
    assert torch.equal(outputs == 0, dropped.expand_as(outputs))
    assert (hidden != 0).all()  # carried raw
    assert (cell != 0).all()  # never masked
    for stream in range(3):
        changed = one.weight_hidden.detach().clone()
        changed[:, dropped[stream]] += 1000.0
        other, (other_h, other_c) = one._replace(weight_hidden=changed).run(layer)
        for left, right in ((other[:, stream], outputs[:, stream]), (other_h[stream], hidden[stream])):
            assert_close(left, right, 1e-15)
        assert_close(other_c[stream], cell[stream], 1e-15)


@pytest.mark.parametrize("layer", [lstm_loop, lstm_stock])
def test_a_kept_unit_counts_by_one_over_keep(layer: Any) -> None:
    """Masks of 1/keep throughout are the stock LSTM with W_hh / keep, and outputs / keep."""
    one = case(7, keep=None)
    masked = one._replace(mask=torch.full((3, 6), 2.5, dtype=torch.float64))
    outputs, (hidden, cell) = masked.run(layer)
    truth, (h, c) = one._replace(weight_hidden=one.weight_hidden * 2.5).run(torch_lstm)
    assert_close(outputs, truth * 2.5, 1e-13)
    assert_close(hidden, h, 1e-13)
    assert_close(cell, c, 1e-13)


@pytest.mark.parametrize("layer", [lstm_loop, lstm_stock])
def test_a_window_may_be_cut_in_two_where_the_mask_is_the_same(layer: Any) -> None:
    one = case(8, steps=7)
    whole, (h, c) = one.run(layer)
    first, state = layer(one.inputs[:3], (one.hidden, one.cell), one.weights, one.mask)
    second, (hidden, cell) = layer(one.inputs[3:], state, one.weights, one.mask)
    assert_close(torch.cat([first, second]), whole, 1e-14)
    assert_close(hidden, h, 1e-14)
    assert_close(cell, c, 1e-14)


@pytest.mark.parametrize("layer", [lstm_loop, lstm_stock])
def test_streams_do_not_see_each_other(layer: Any) -> None:
    one = case(9)
    outputs, (hidden, _) = one.run(layer)
    assert one.mask is not None
    alone = one._replace(inputs=one.inputs[:, 1:2], hidden=one.hidden[1:2], cell=one.cell[1:2], mask=one.mask[1:2])
    scale = 1 / 0.6
    assert one.mask[1:2].max() == pytest.approx(scale)
    single, (single_hidden, _) = alone.run(layer)
    assert_close(single[:, 0], outputs[:, 1], 1e-14)
    assert_close(single_hidden[0], hidden[1], 1e-14)


@pytest.mark.parametrize("layer", [lstm_loop, lstm_stock])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": torch.zeros(4, 3, 7)}, r"inputs have the shape \[4, 3, 7\], but must be \[steps, streams, 5\]"),
        ({"inputs": torch.zeros(0, 3, 5)}, r"inputs have the shape \[0, 3, 5\], .* with at least one step"),
        ({"inputs": torch.zeros(4, 5)}, r"inputs have the shape \[4, 5\], but must be \[steps, streams, 5\]"),
        ({"hidden": torch.zeros(2, 6)}, r"state h has the shape \[2, 6\], but must be \[3, 6\]: \[streams, units\]"),
        ({"cell": torch.zeros(3, 5)}, r"state c has the shape \[3, 5\], but must be \[3, 6\]"),
        ({"hidden": torch.zeros(1, 3, 6)}, r"state h has the shape \[1, 3, 6\], but must be \[3, 6\]"),
        ({"mask": torch.ones(6)}, r"mask has the shape \[6\], but must be \[3, 6\]"),
        ({"mask": torch.ones(4, 3, 6)}, r"mask has the shape \[4, 3, 6\], but must be \[3, 6\]"),
    ],
)
def test_shapes_that_do_not_go_together_are_refused(layer: Any, change: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{message}"):
        case()._replace(**change).run(layer)


@pytest.mark.parametrize("layer", [lstm_loop, lstm_stock])
def test_weights_that_do_not_go_together_are_refused(layer: Any) -> None:
    with pytest.raises(ArgumentError, match=r"weights bias has the shape \[18\], but must have 24 rows"):
        case()._replace(bias=torch.zeros(18)).run(layer)
