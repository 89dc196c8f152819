"""Which type goes into products."""

from __future__ import annotations

import pytest
import torch

from tiedlm.layers.precision import _lstm_trains_in, has_lstm_kernel, recurrent_kernel_runs_in, type_of_products


@pytest.mark.parametrize(
    ("own", "enabled", "found"),
    [
        (torch.float32, False, torch.float32),
        (torch.float32, True, torch.bfloat16),
        (torch.float64, True, torch.float64),
        (torch.float64, False, torch.float64),
    ],
)
def test_autocast_rounds_float32_alone(own: torch.dtype, enabled: bool, found: torch.dtype) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
        assert type_of_products(torch.zeros(1, dtype=own)) == found


def test_autocast_of_another_device_is_none_of_its_business() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert type_of_products(torch.zeros(1, device="meta")) == torch.float32


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("first_without_gradients", [True, False])
def test_a_kernel_is_there_where_pytorch_trains_with_one(dtype: torch.dtype, first_without_gradients: bool) -> None:
    lstm = torch.nn.LSTM(3, 4)
    try:
        with torch.autocast("cpu", dtype):
            outputs = lstm(torch.zeros(2, 1, 3))[0]
        outputs.sum().backward()
        trains = True
    except RuntimeError:
        trains = False
    _lstm_trains_in.cache_clear()
    if first_without_gradients:
        with torch.inference_mode():
            assert has_lstm_kernel(dtype) == trains
    assert has_lstm_kernel(dtype) == trains


def test_looking_for_a_kernel_draws_no_numbers() -> None:
    before = torch.get_rng_state()
    _lstm_trains_in.__wrapped__(torch.bfloat16)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("dtype", "device", "runs"),
    [
        (torch.bfloat16, "cuda", False),
        (torch.float16, "cuda", True),
        (torch.bfloat16, "cpu", has_lstm_kernel(torch.bfloat16)),
        (torch.float16, "cpu", has_lstm_kernel(torch.float16)),
    ],
)
def test_recurrent_kernels_of_a_gpu_know_float16_alone(dtype: torch.dtype, device: str, runs: bool) -> None:
    assert recurrent_kernel_runs_in(dtype, device) == runs
