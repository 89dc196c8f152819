"""A function of tensors on a GPU, captured once as a CUDA graph and replayed: one launch instead of hundreds.

A window of a small model is some 500 kernels of a few microseconds each, which take longer to launch than to run. A
graph is launched at once. What is captured runs on the same memory every time, so inputs are copied into their places
and results out of theirs. The function must not wait for the GPU: whoever reads an entry of a tensor on its way asks
`values_unread` first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError

Function = Callable[..., tuple[Tensor, ...]]
"""Takes tensors and returns tensors; what else it leaves behind, as gradients, lies in the same place every time."""
Captured = tuple[Callable[[], None], tuple[Tensor, ...]]
"""What runs the function once more on the places that it was captured with, and where its results are then."""

_unread: ContextVar[bool] = ContextVar("tiedlm values unread", default=False)


@contextmanager
def leaving_values_unread() -> Iterator[None]:
    """Within, no entry of a tensor is read by the CPU: checks by value are left out, and no shape depends on values."""
    before = _unread.set(True)
    try:
        yield
    finally:
        _unread.reset(before)


def values_unread() -> bool:
    """Return whether entries must not be read now: within `leaving_values_unread`."""
    return _unread.get()


def captured(function: Function, places: Sequence[Tensor]) -> Captured:
    """Return a CUDA graph of the function called with `places`, after a call that picks and compiles its kernels."""
    aside, own = torch.cuda.Stream(), torch.cuda.current_stream()
    aside.wait_stream(own)
    with torch.cuda.stream(aside):
        function(*places)
    own.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = function(*places)
    return graph.replay, results


class Replayed:
    """A function of tensors, captured at the first call and replayed by every one, that included.

    Args:
        function: takes as many tensors as it is called with, of the first call's shapes and types.
        device: where it runs; inputs may come from elsewhere.
        capture: what captures; another one stands in for a GPU in tests.
    """

    def __init__(
        self,
        function: Function,
        device: torch.device,
        capture: Callable[[Function, Sequence[Tensor]], Captured] = captured,
    ) -> None:
        self._function, self._device, self._capture = function, device, capture
        self._places: list[Tensor] = []
        self._captured: Captured | None = None

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return what the function returns, in tensors of the caller's own.

        Raises:
            ArgumentError: inputs of other shapes than the first call's.
        """
        if self._captured is None:
            self._places = [value.detach().to(self._device, copy=True) for value in inputs]
            with leaving_values_unread():
                self._captured = self._capture(self._function, self._places)
        self._check(inputs)
        for place, value in zip(self._places, inputs, strict=True):
            place.copy_(value)
        run, results = self._captured
        run()
        return tuple(result.clone() for result in results)

    def _check(self, inputs: Sequence[Tensor]) -> None:
        wanted, given = ([list(value.shape) for value in values] for values in (self._places, inputs))
        if given != wanted:
            raise ArgumentError(
                f"The shapes {given} came to a function that was captured with {wanted}: capture another one for them."
            )
