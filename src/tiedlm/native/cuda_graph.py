"""A function of tensors on a GPU, captured once as a CUDA graph and replayed: one launch instead of hundreds.

A window of a small model is some 500 kernels of a few microseconds each, which take longer to launch than to run. A
graph is launched at once. It runs on the same memory every time, so inputs are copied into its buffers and results out
of them. The function must not wait for the GPU, as the loss with `host_sync=False` does not.
"""

from __future__ import annotations

import functools
import gc
import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tiedlm.errors import ArgumentError

Function = Callable[..., tuple[Tensor, ...]]
"""Takes tensors and returns tensors."""
Captured = tuple[Callable[[], None], tuple[Tensor, ...]]
"""What runs a function once more on its buffers, and the tensors that its results are in afterwards."""
TOLERANCE = 0.02
"""Largest difference of a replay from the function, relative to the largest entry: rounding to bfloat16."""


def capture(function: Function, buffers: Sequence[Tensor]) -> Captured:
    """Return a CUDA graph of the function called with `buffers`, after a call that picks and compiles its kernels."""
    device = buffers[0].device
    with torch.cuda.device(device):
        gc.collect()
        aside, current = _side_stream(device.index), torch.cuda.current_stream()
        aside.wait_stream(current)
        with torch.cuda.stream(aside):
            function(*buffers)
        current.wait_stream(aside)
        gc.collect()  # what autograd keeps of an earlier call belongs to that call's stream, and would end the capture
        graph = torch.cuda.CUDAGraph()
        # the stream once more, as a capture that fails does not give it back
        with torch.cuda.stream(torch.cuda.current_stream()), torch.cuda.graph(graph):
            results = function(*buffers)
    return graph.replay, results


@functools.cache
def _side_stream(device: int) -> torch.cuda.Stream:
    """Return one stream a device: cuBLAS keeps 32 MiB for every stream that it has worked on.

    It is not the stream of captures, where what cuBLAS keeps for one graph would go with the end of another.
    """
    return torch.cuda.Stream(device)


class CudaGraph:
    """A function of tensors that is captured at its first call and replayed from then on.

    The first call also calls the function itself. Where it cannot be captured, or a replay gives other results, a
    warning says why and every call calls the function.

    The function takes tensors of the same shapes and types in every call, and runs on `device`, where inputs are copied
    to. `side_effects` returns the tensors that it writes besides its results, in the same order every time. Another
    `capture` takes the place of a GPU in tests.
    """

    def __init__(
        self,
        function: Function,
        device: torch.device,
        side_effects: Callable[[], Sequence[Tensor]] = tuple,
        capture: Callable[[Function, Sequence[Tensor]], Captured] = capture,
    ) -> None:
        self._function, self._device, self._side_effects, self._capture = function, device, side_effects, capture
        self._buffers: list[Tensor] = []
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
        self._buffers = [value.detach().to(self._device, copy=True) for value in inputs]
        truth = [tensor.detach().clone() for tensor in (*self._function(*self._buffers), *self._side_effects())]
        try:
            self._captured = self._capture(self._function, self._buffers)
            with torch.no_grad():
                for tensor in (*self._captured[1], *self._side_effects()):
                    tensor.fill_(torch.nan)  # a graph that writes nothing shall not pass by what was there
            reason = _difference([*self._replay(inputs), *self._side_effects()], truth)
        except (RuntimeError, UserWarning) as error:
            cause = error.__context__ or error  # a capture that fails ends with an error of its own
            reason = str(cause).strip().partition("\n")[0]
        self.is_graph = reason is None
        if reason is not None:
            self._captured = None
            warnings.warn(f"No CUDA graph is replayed here, which would be faster ({reason}).", stacklevel=3)

    def _replay(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        assert self._captured is not None
        expected, shapes = ([list(value.shape) for value in values] for values in (self._buffers, inputs))
        if shapes != expected:
            raise ArgumentError(
                f"The shapes {shapes} came to a function that was captured with {expected}: capture another one for "
                "them."
            )
        for buffer, value in zip(self._buffers, inputs, strict=True):
            buffer.copy_(value)
        run, results = self._captured
        run()
        return tuple(result.clone() for result in results)


def _difference(results: Sequence[Tensor], truth: Sequence[Tensor]) -> str | None:
    """Return in words how far tensors are off the truth, or None where they are not."""
    for number, (result, true) in enumerate(zip(results, truth, strict=True)):
        scale = float(true.double().abs().max())
        error = float((result.detach().double() - true.double()).abs().max())
        if not error <= TOLERANCE * scale:
            return f"result {number} of a replay is off by {error:.3g}, its largest entry being {scale:.3g}"
    return None
