"""Devices: those that are here and those that are not, cuDNN's float32, the rate of matrix products, kept memory."""

import platform
import subprocess
import sys
from typing import Any

import pytest
import torch

from tiedlm.errors import ConfigError
from tiedlm.native import device as native_device
from tiedlm.native.device import (
    available_devices,
    exact_float32_rnn,
    matmul_gflops,
    matmul_slowdown,
    resolve_device,
)


def test_every_available_device_works() -> None:
    assert available_devices()[0] == "cpu"
    for name in available_devices():
        assert resolve_device(name) == torch.device(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("abacus", "no kind of device 'abacus'"),
        ("", "no kind of device ''"),
        ("cuda:999", "'cuda:999' cannot be used here"),
        ("meta", "'meta' cannot be used here"),
    ],
)
def test_another_device_is_refused_and_the_available_ones_are_named(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        resolve_device(name)
    assert "Devices here: cpu" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("before", ["tf32", "ieee"])
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "cpu"])
def test_float32_is_exact_inside_and_as_before_after_an_error(device: str, before: str) -> None:
    kernels: Any = torch.backends.cudnn.rnn
    usual, kernels.fp32_precision = kernels.fp32_precision, before
    inside: list[str] = []

    def fail() -> None:
        inside.append(kernels.fp32_precision)
        raise ValueError("on purpose")

    try:
        with pytest.raises(ValueError, match="on purpose"), exact_float32_rnn(torch.device(device)):
            fail()
        assert inside == [before if device == "cpu" else "ieee"]
        assert kernels.fp32_precision == before
    finally:
        kernels.fp32_precision = usual


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_rate_is_that_of_the_fastest_product_after_the_first(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    seconds = iter([1e-9, 0.5, 0.25, 0.75, 1.0, 1.0, 1.0, 0.5, 2.0])
    monkeypatch.setattr(native_device, "_matmul_seconds", lambda left, right: next(seconds))
    assert matmul_gflops(dtype) == pytest.approx(2 * 256 * 256 * 2048 / 0.25 / 1e9, rel=1e-12)


def test_the_slowdown_is_above_one_where_the_type_is_the_slower_one(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_rng_state()
    assert matmul_slowdown(torch.bfloat16) > 0
    monkeypatch.setattr(native_device, "matmul_gflops", {torch.float32: 80.0, torch.bfloat16: 8.0}.__getitem__)
    assert matmul_slowdown(torch.bfloat16) == 10.0
    assert torch.equal(torch.get_rng_state(), before)


FAULTS = """
import resource
from tiedlm.native.device import keep_freed_memory
{setting}
for _ in range(2):
    b"x" * 2**26
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    b"x" * 2**26
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(setting: str) -> int:
    """Pages that a process fetches while it makes 64 MiB four times, after it has done so twice."""
    program = FAULTS.format(setting=setting)
    return int(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the option")
def test_kept_memory_is_not_fetched_twice() -> None:
    without = page_faults("")
    if without < 1000:
        pytest.skip("this system's pages are too large to count")
    assert page_faults("assert keep_freed_memory()") < without / 10
