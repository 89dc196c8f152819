"""Weights in one piece: values, order, gradients; and on a GPU, that cuDNN takes them so."""

from __future__ import annotations

import warnings

import pytest
import torch

from support.gpus import NEEDS_GPU
from tiedlm.layers.gru import GRUWeights
from tiedlm.layers.gru_stock import gru_stock
from tiedlm.layers.kernel_weights import one_after_another
from tiedlm.layers.lstm import LSTMWeights
from tiedlm.layers.lstm_stock import lstm_stock


def test_they_lie_in_one_array_in_their_order() -> None:
    weights = [torch.randn(4, 3), torch.randn(4, 2), torch.randn(4)]
    pieces = one_after_another(weights)
    assert all(torch.equal(piece, weight) for piece, weight in zip(pieces, weights, strict=True))
    assert [piece.shape for piece in pieces] == [weight.shape for weight in weights]
    assert [piece.storage_offset() for piece in pieces] == [0, 12, 20]
    assert len({piece.untyped_storage().data_ptr() for piece in pieces}) == 1


def test_gradients_reach_every_weight() -> None:
    weights = [torch.randn(4, 3, requires_grad=True), torch.randn(4, requires_grad=True)]
    factors = [torch.randn(4, 3), torch.randn(4)]
    products = [piece * factor for piece, factor in zip(one_after_another(weights), factors, strict=True)]
    found = torch.autograd.grad(products[0].sum() + products[1].sum(), weights)
    assert all(torch.equal(gradient, factor) for gradient, factor in zip(found, factors, strict=True))


@NEEDS_GPU
@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16, None])
def test_an_lstm_on_a_gpu_says_nothing_and_keeps_its_types(masked: bool, low: torch.dtype | None) -> None:
    inputs, state = torch.randn(5, 3, 6, device="cuda"), torch.zeros(3, 8, device="cuda")
    weights = LSTMWeights(*(torch.randn(size, device="cuda") / 4 for size in ((32, 6), (32, 8), (32,))))
    mask = (torch.rand(3, 8, device="cuda") < 0.5).float() * 2 if masked else None
    with warnings.catch_warnings(), torch.autocast("cuda", low or torch.bfloat16, enabled=low is not None):
        warnings.simplefilter("error")
        outputs, after = lstm_stock(inputs, (state, state), weights, mask)
        lstm_stock(outputs[..., :6].contiguous(), (state, state), weights, mask)
    assert [part.dtype for part in after] == [torch.float32] * 2
    assert outputs.dtype in (torch.float32, low if low == torch.float16 else torch.float32)


@NEEDS_GPU
@pytest.mark.parametrize("masked", [True, False])
def test_a_gru_on_a_gpu_says_nothing_and_keeps_its_types(masked: bool) -> None:
    inputs, state = torch.randn(5, 3, 6, device="cuda"), torch.zeros(3, 8, device="cuda")
    sizes = ((24, 6), (24, 8), (24,), (24,))
    weights = GRUWeights(*(torch.randn(size, device="cuda") / 4 for size in sizes))
    mask = (torch.rand(3, 8, device="cuda") < 0.5).float() * 2 if masked else None
    with warnings.catch_warnings(), torch.autocast("cuda", torch.bfloat16):
        warnings.simplefilter("error")
        outputs, after = gru_stock(inputs, state, weights, mask)
    assert (outputs.dtype, after.dtype) == (torch.float32, torch.float32)
