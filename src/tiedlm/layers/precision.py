"""Which type goes into the products of a layer that has its own backward pass, and so is not autocast's to convert."""

from __future__ import annotations

import torch
from torch import Tensor


def type_of_products(weight: Tensor) -> torch.dtype:
    """Return autocast's type for float32 weights where it is on for their device, else the weights' own."""
    kind = weight.device.type
    available = torch.amp.is_autocast_available(kind)
    if weight.dtype == torch.float32 and available and torch.is_autocast_enabled(kind):
        return torch.get_autocast_dtype(kind)
    return weight.dtype
