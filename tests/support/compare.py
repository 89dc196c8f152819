"""Comparison with the truth, with slack only relative to the truth's own scale; and what a computation does underneath.

A gradient of a word table has entries of about 1e-3, so an absolute slack lets a zero gradient pass. Here there is
none.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tiedlm.losses import operator


def error(actual: Any, truth: Any) -> float:
    """The largest difference between `actual` and `truth`, as a share of the largest entry of `truth`.

    0 where both are zero throughout, infinite where only the truth is; not a number where `actual` is not finite.
    """
    left, right = _array(actual), _array(truth)
    if left.shape != right.shape:
        raise AssertionError(f"shape {left.shape} is not the truth's {right.shape}")
    if not np.isfinite(right).all():
        raise AssertionError("the truth itself is not finite")
    if left.size == 0:
        raise AssertionError("nothing to compare")
    difference, scale = float(np.abs(left - right).max()), float(np.abs(right).max())
    if scale == 0:
        return 0.0 if difference == 0 else difference * float("inf")
    return difference / scale


def assert_close(actual: Any, truth: Any, relative: float, what: str = "result", *, rounding: float = 0.0) -> None:
    """Fail unless `error(actual, truth)` is at most `relative`; a value that is not finite always fails.

    Where the truth is what is left of much larger terms, `rounding` is the error that a few last bits of those terms
    make: it is allowed on top, in absolute size, and has to be derived, not chosen.
    """
    found = error(actual, truth)
    scale = float(np.abs(_array(truth)).max())
    slack = relative + (rounding / scale if scale else 0.0)
    absolute = float(np.abs(_array(actual)).max())
    if not (found <= slack or (scale == 0 and absolute <= rounding)):
        raise AssertionError(f"{what} is off by {found:.3g} of the truth's scale; {slack:.3g} is allowed")


def _array(value: Any) -> np.ndarray:
    if value is None:
        raise AssertionError("got None where numbers are due")
    if isinstance(value, torch.Tensor):
        value = value.detach().to("cpu", torch.float64).numpy()
    return np.asarray(value, dtype=np.float64)


class Call(NamedTuple):
    """One operator: its name, the dtypes of its floating inputs, the entries of the largest tensor it made."""

    name: str
    dtypes: frozenset[torch.dtype]
    largest: int
    multiplications: int
    """Of a matrix product; 0 for any other operator."""


class Recorder(TorchDispatchMode):
    """Notes every operator inside a `with` block; what shares an input's memory is a view, and not new.

    Nor is a sparse result, which is made of tensors that were made before.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        result = func(*args, **kwargs)
        old = {tensor.untyped_storage().data_ptr() for tensor in given if not tensor.is_sparse}
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor) and not leaf.is_sparse]
        sizes = [tensor.numel() for tensor in made if tensor.untyped_storage().data_ptr() not in old]
        dtypes = frozenset(tensor.dtype for tensor in given if tensor.is_floating_point())
        factors = [argument for argument in args if isinstance(argument, Tensor)]
        self.calls.append(Call(str(func), dtypes, max(sizes, default=0), _multiplications(str(func), factors)))
        return result

    @property
    def largest(self) -> int:
        """Entries of the largest tensor that any operator made."""
        return max(call.largest for call in self.calls)


@contextmanager
def operator_recorded() -> Iterator[Recorder]:
    """Note what happens inside the chunked loss too, which is a single operator from outside."""
    recorder = Recorder()

    def recorded(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            with recorder:
                return function(*arguments)

        return run

    inside: Any = {name: recorded(getattr(operator, name)) for name in ("loss_and_grads", "recompute_grads")}
    with mock.patch.multiple(operator, **inside), recorder:
        yield recorder


def _multiplications(name: str, factors: list[Tensor]) -> int:
    """m k n of a product of [..., m, k] and [..., k, n]: the last two arguments of mm, bmm, addmm, baddbmm."""
    if "mm" not in name.split(".")[1]:
        return 0
    left, right = factors[-2:]
    return left.numel() * right.shape[-1]
