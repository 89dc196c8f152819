"""What the GRU layer has of its own: PyTorch's module without a mask, and a memory that no mask touches."""

from __future__ import annotations

import warnings
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor

from support import cells as forms
from support.cells import GRU_STOCK, LOOPS, Form, check, make
from support.compare import assert_close
from support.gpus import NEEDS_GPU
from tiedlm.nn.gru import GRUWeights, gru_stock

LOOP = LOOPS["gru"]


def torch_gru(inputs: Tensor, state: Any, weights: GRUWeights, mask: Tensor | None) -> Any:
    """`torch.nn.GRU` with these weights, called as a layer; its gradients reach them too."""
    assert mask is None
    module = torch.nn.GRU(inputs.shape[2], state[0].shape[1], dtype=inputs.dtype)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    named: dict[str, Tensor] = dict(zip(names, weights, strict=True))
    outputs, last = torch.func.functional_call(module, named, (inputs, state[0].unsqueeze(0)))
    return outputs, (last[0],)


@forms.forms_of(LOOP, GRU_STOCK)
@pytest.mark.parametrize(("steps", "streams"), [(1, 1), (1, 4), (7, 1), (6, 3)])
def test_without_a_mask_it_is_pytorchs_gru(form: Form, steps: int, streams: int) -> None:
    case = make(form, 1, steps=steps, streams=streams, keep=None)
    check(case.everything(form), case.everything(torch_gru), 1e-13)


def test_memory_is_not_masked() -> None:
    """With the update gate wide open every unit keeps what it had, dropped or not, and no factor grows."""
    case = make(LOOP, 7, steps=9)
    bias = case.weights.input_bias.detach().clone()
    bias[6:12] = 800.0
    outputs, (state,) = case.with_weights(input_bias=bias).run(LOOP)
    assert_close(state, case.state[0], 1e-15)
    assert case.mask is not None
    assert_close(outputs, (case.state[0] * case.mask).expand_as(outputs), 1e-15)


def test_the_state_of_a_low_precision_kernel_has_the_weights_type() -> None:
    case = make(GRU_STOCK).to(torch.float32)
    kernel = torch.gru

    def rounding(*arguments: Any) -> tuple[Tensor, ...]:
        return tuple(result.bfloat16() for result in kernel(*arguments))

    with mock.patch.object(torch, "gru", rounding):
        outputs, state = case.run(GRU_STOCK)
    assert (outputs.dtype, state[0].dtype) == (torch.bfloat16, torch.float32)
    case._replace(state=state).run(LOOP)


@NEEDS_GPU
def test_on_a_gpu_it_gives_no_warning_and_keeps_its_types() -> None:
    inputs, state = torch.randn(5, 3, 6, device="cuda"), torch.zeros(3, 8, device="cuda")
    sizes = ((24, 6), (24, 8), (24,), (24,))
    weights = GRUWeights(*(torch.randn(size, device="cuda") / 4 for size in sizes))
    with warnings.catch_warnings(), torch.autocast("cuda", torch.bfloat16):
        warnings.simplefilter("error")
        outputs, after = gru_stock(inputs, state, weights)
    assert (outputs.dtype, after.dtype) == (torch.float32, torch.float32)
