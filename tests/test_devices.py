from __future__ import annotations

from typing import Any

import pytest
import torch

from tiedlm.devices import devices_here, exact_products, usable_device
from tiedlm.errors import ConfigError


def test_every_device_that_is_here_can_be_used() -> None:
    assert devices_here()[0] == "cpu"
    for name in devices_here():
        assert usable_device(name) == torch.device(name)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("abacus", "no kind of device 'abacus'"),
        ("", "no kind of device ''"),
        ("cuda:999", "'cuda:999' cannot be used here"),
        ("meta", "'meta' cannot be used here"),
    ],
)
def test_another_is_refused_and_those_that_are_here_are_named(name: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told) as raised:
        usable_device(name)
    assert "Devices here: cpu" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("before", ["tf32", "ieee"])
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "cpu"])
def test_products_are_exact_within_and_as_before_after(device: str, before: str) -> None:
    kernels: Any = torch.backends.cudnn.rnn
    usual, kernels.fp32_precision = kernels.fp32_precision, before
    found = []

    def fail() -> None:
        found.append(kernels.fp32_precision)
        raise ValueError("on purpose")

    try:
        with pytest.raises(ValueError, match="on purpose"), exact_products(torch.device(device)):
            fail()
        assert found == [before if device == "cpu" else "ieee"]
        assert kernels.fp32_precision == before
    finally:
        kernels.fp32_precision = usual
