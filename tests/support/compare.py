"""One comparison for every test that sets a result against the truth: slack only relative to the truth's own scale.

A gradient of a word table has entries of about 1e-3, so an absolute slack lets a zero gradient pass. Here there is
none. That wrong results are caught is itself tested, in `tests/meta/test_compare.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch


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
