"""A capture without a GPU: the function is run anew on its places, and its results are written where they were."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from tiedlm.native.cuda_graph import Captured, Function


def rerun(function: Function, places: Sequence[Tensor]) -> Captured:
    """Return what runs the function again, and the results that it overwrites."""
    results = function(*places)

    def run() -> None:
        for result, value in zip(results, function(*places), strict=True):
            result.detach().copy_(value.detach())

    return run, results
