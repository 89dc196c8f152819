"""The device that a model is to live on: named by the user, tried before anything is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from tiedlm.errors import ConfigError


def usable_device(name: str) -> torch.device:
    """Return the device of that name, once a number could be written there and read back.

    Args:
        name: `cpu`, `cuda`, `cuda:1`, or another that PyTorch knows.

    Raises:
        ConfigError: PyTorch knows no such device, or this machine has none.
    """
    try:
        device = torch.device(name)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"There is no kind of device {name!r}. {_instead()}") from error
    try:
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise ConfigError(f"The device {name!r} cannot be used here ({reason}). {_instead()}") from error
    return device


@contextmanager
def exact_products(device: torch.device) -> Iterator[None]:
    """Within, a GPU's kernels of recurrent layers take float32 as it is, and not as TensorFloat-32 of 10 bits."""
    if device.type != "cuda":
        yield
        return
    kernels: Any = torch.backends.cudnn.rnn
    before, kernels.fp32_precision = kernels.fp32_precision, "ieee"
    try:
        yield
    finally:
        kernels.fp32_precision = before


def devices_here() -> list[str]:
    """Return the names of the devices that this machine has, the CPU first."""
    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]


def _instead() -> str:
    return f"Devices here: {', '.join(devices_here())}. `tiedlm doctor` says more."
