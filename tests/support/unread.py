"""A mode in which reading an entry of a tensor fails, as it does while a CUDA graph is captured."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
READING = {
    aten._local_scalar_dense,
    aten.equal,
    aten.is_nonzero,
    aten.nonzero,
    aten.masked_select,
    aten._unique2,
    aten.unique_consecutive,
    aten.unique_dim,
    aten.bincount,
}
"""Operations whose result, or its shape, the CPU must know."""


class NoReading(TorchDispatchMode):
    """Within, an operation that waits for a tensor's entries raises RuntimeError."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Refuse what reads, and run the rest."""
        by_truth = func.overloadpacket is aten.index and any(
            one is not None and one.dtype == torch.bool for one in args[1]
        )
        if func.overloadpacket in READING or by_truth:
            raise RuntimeError(f"{func} reads entries of a tensor")
        return func(*args, **(kwargs or {}))
