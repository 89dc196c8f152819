"""A function of tensors on a GPU, captured once as a CUDA graph and replayed: one launch instead of hundreds.

A window of a small model is some 500 kernels of a few microseconds each, which take longer to launch than to run. A
graph is launched at once. What is captured runs on the same memory every time, so inputs are copied into their places
and results out of theirs. The function must not wait for the GPU: whoever reads an entry of a tensor on its way asks
`values_unread` first.
"""

from __future__ import annotations

import functools
import gc
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError

Function = Callable[..., tuple[Tensor, ...]]
"""Takes tensors and returns tensors."""
Captured = tuple[Callable[[], None], tuple[Tensor, ...]]
"""What runs a function once more on the places that it was captured with, and where its results are then."""
SLACK = 0.02
"""How far a replay may be off what the function itself gives, relative to the largest entry: rounding to bfloat16."""

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
    with torch.cuda.device(places[0].device):
        _called_aside(function, places)
        gc.collect()  # what autograd keeps of an earlier call belongs to that call's stream, and would end the capture
        graph = torch.cuda.CUDAGraph()
        # the stream once more, as a capture that fails does not give it back
        with torch.cuda.stream(torch.cuda.current_stream()), torch.cuda.graph(graph):
            results = function(*places)
    return graph.replay, results


def _called_aside(function: Function, places: Sequence[Tensor]) -> None:
    gc.collect()
    aside, own = _side_stream(torch.cuda.current_device()), torch.cuda.current_stream()
    aside.wait_stream(own)
    with torch.cuda.stream(aside):
        function(*places)
    own.wait_stream(aside)


@functools.cache
def _side_stream(device: int) -> torch.cuda.Stream:
    """Return one stream a device: cuBLAS keeps 32 MiB for every stream that it has worked on.

    It is not the stream of captures, where what cuBLAS keeps for one graph would go with the end of another.
    """
    return torch.cuda.Stream(device)


class Replayed:
    """A function of tensors that is captured at its first call and replayed from then on.

    The first call also calls the function itself. Where it cannot be captured, or a replay gives something else, that
    is told in a warning and the function is called as it is every time.

    Args:
        function: takes tensors of the same shapes and types in every call.
        device: where it runs; inputs may come from elsewhere.
        left: returns what the function leaves behind besides its results, in the same order every time.
        capture: what captures; another one stands in for a GPU in tests.
    """

    def __init__(
        self,
        function: Function,
        device: torch.device,
        left: Callable[[], Sequence[Tensor]] = tuple,
        capture: Callable[[Function, Sequence[Tensor]], Captured] = captured,
    ) -> None:
        self._function, self._device, self._left, self._capture = function, device, left, capture
        self._places: list[Tensor] = []
        self._captured: Captured | None = None
        self.is_graph: bool | None = None
        """Whether calls are replayed; None before the first."""

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Return what the function returns, in tensors of the caller's own.

        Raises:
            ArgumentError: inputs of other shapes than the first call's.
        """
        if self.is_graph is None:
            self._begin(inputs)
        if self._captured is None:
            return self._function(*(value.to(self._device) for value in inputs))
        return self._replay(inputs)

    def _begin(self, inputs: Sequence[Tensor]) -> None:
        """Find out whether the function can be replayed."""
        self._places = [value.detach().to(self._device, copy=True) for value in inputs]
        truth = [tensor.detach().clone() for tensor in (*self._function(*self._places), *self._left())]
        try:
            with leaving_values_unread():
                self._captured = self._capture(self._function, self._places)
            _spoil([*self._captured[1], *self._left()])
            reason = _difference([*self._replay(inputs), *self._left()], truth)
        except (RuntimeError, UserWarning) as error:
            cause = error.__context__ or error  # the end of a capture fails with a word of its own
            reason = str(cause).strip().partition("\n")[0]
        self.is_graph = reason is None
        if reason is not None:
            self._captured = None
            warnings.warn(f"No CUDA graph is replayed here, which would be faster ({reason}).", stacklevel=3)

    def _replay(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        assert self._captured is not None
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


@torch.no_grad()
def _spoil(tensors: Sequence[Tensor]) -> None:
    """Fill with what is no number: a graph that writes nothing shall not pass by what was there."""
    for tensor in tensors:
        tensor.fill_(torch.nan)


def _difference(found: Sequence[Tensor], truth: Sequence[Tensor]) -> str | None:
    """Return in words how far tensors are off the truth, or None where they are not."""
    for number, (one, other) in enumerate(zip(found, truth, strict=True)):
        scale, off = float(other.double().abs().max()), float((one.detach().double() - other.double()).abs().max())
        if not off <= SLACK * scale:
            return f"result {number} of a replay is off by {off:.3g}, its largest entry being {scale:.3g}"
    return None
