"""The devices of this machine: whether one works, what it is called, how fast it multiplies, how it keeps memory."""

from __future__ import annotations

import ctypes
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from tiedlm.errors import ConfigError

MATMUL_SIZES = (256, 256, 2048)
"""Rows, inner width and columns of the product that is timed: large enough for a rate, 30 ms where it is slow."""
MATMUL_TRIES = 8
"""The fastest counts, so that other work on the machine hardly does."""
MALLOC_OPTIONS = {-4: 0, -1: 2**31 - 1, -2: 64 * 2**20}
"""M_MMAP_MAX: no array gets pages of its own from the system; M_TRIM_THRESHOLD: nothing is given back; M_TOP_PAD: bytes
that are requested at once (malloc.h)."""


def resolve_device(name: str) -> torch.device:
    """Return the device of that name, such as `cpu` or `cuda:1`, once a number could be written there and read back.

    Raises:
        ConfigError: PyTorch knows no such device, or this machine has none.
    """
    alternatives = f"Devices here: {', '.join(available_devices())}. `tiedlm doctor` says more."
    try:
        device = torch.device(name)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"There is no kind of device {name!r}. {alternatives}") from error
    try:
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise ConfigError(f"The device {name!r} cannot be used here ({reason}). {alternatives}") from error
    return device


def available_devices() -> list[str]:
    """Return the names of the devices that this machine has, the CPU first."""
    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]


def device_name(device: str) -> str:
    """Return the model of a GPU, or the device's own name."""
    return torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else device


def processor() -> str:
    """Return the model of the processor, as the system names it."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@contextmanager
def exact_float32_rnn(device: torch.device) -> Iterator[None]:
    """Inside, cuDNN's recurrent layers multiply float32 as it is, not as TensorFloat-32 with its 10 bits."""
    kernels: Any = torch.backends.cudnn.rnn
    before = kernels.fp32_precision
    if device.type == "cuda":
        kernels.fp32_precision = "ieee"
    try:
        yield
    finally:
        kernels.fp32_precision = before


def matmul_slowdown(dtype: torch.dtype) -> float:
    """Return the time of a matrix product of this type on the CPU, in units of a float32 product's time.

    Bfloat16 is the faster one where the processor has instructions for it (AMX, AVX512-BF16), and elsewhere slower.
    """
    return matmul_gflops(torch.float32) / matmul_gflops(dtype)


def matmul_gflops(dtype: torch.dtype) -> float:
    """Return 10^9 multiplications and additions a second, in a product of this type on all of PyTorch's threads."""
    rows, width, columns = MATMUL_SIZES
    left, right = torch.ones(rows, width, dtype=dtype), torch.ones(columns, width, dtype=dtype)
    _matmul_seconds(left, right)  # the first also prepares the kernel
    fastest = min(_matmul_seconds(left, right) for _ in range(MATMUL_TRIES))
    return 2 * rows * width * columns / fastest / 1e9


def _matmul_seconds(left: torch.Tensor, right: torch.Tensor) -> float:
    start = time.perf_counter()
    torch.mm(left, right.T)
    return time.perf_counter() - start


def keep_freed_memory() -> bool:
    """Have the C library keep freed memory for later requests, in this process from now on; return whether it does.

    A training frees large arrays in every step and requests them again in the next. glibc returns them to the system
    and gets pages of zeros for them, 4 KiB at a time: a quarter of a step with 33,278 words. The process's peak memory
    stays the same. Other C libraries than glibc have no such option.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    return all(library.mallopt(ctypes.c_int(name), ctypes.c_int(value)) == 1 for name, value in MALLOC_OPTIONS.items())
