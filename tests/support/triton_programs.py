"""Triton's interpreter runs the programs of a kernel one after the other; here each has a process, and all run at once.

The tensors are in memory that the processes share, and the interpreter's atomic operations are the processor's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.multiprocessing as processes
from torch import Tensor

from support.compare import error

SECONDS = 120
"""After which programs that still wait for each other are given up."""


def run_programs(
    kernel: Any, arguments: Sequence[Any], sizes: dict[str, Any], programs: int, *, at_once: bool = True
) -> list[int | None]:
    """Run that many programs and return how each ended: 0, or None where it had to be given up."""
    shared = [one.share_memory_() if isinstance(one, Tensor) else one for one in arguments]
    fork = processes.get_context("fork")
    running = [fork.Process(target=_run, args=(kernel, shared, sizes, own)) for own in range(programs)]
    for process in running:
        process.start()
        if not at_once:
            process.join()
    for process in running:
        process.join(SECONDS)
    ended = [process.exitcode for process in running]
    for process in running:
        process.kill()
    return ended


def _run(kernel: Any, arguments: Sequence[Any], sizes: dict[str, Any], own: int) -> None:
    from triton.runtime.interpreter import interpreter_builder  # pyright: ignore[reportMissingImports]

    torch.set_num_threads(1)
    number = interpreter_builder.create_get_program_id

    def of_this_process(axis: int) -> Any:
        interpreter_builder.grid_idx = (own, 0, 0)
        return number(axis)

    interpreter_builder.create_get_program_id = of_this_process
    kernel[(1,)](*arguments, **sizes)


def farthest(found: Sequence[Tensor], truth: Sequence[Tensor]) -> float:
    """Return the largest error of any tensor, relative to its own scale."""
    return max(error(one, other) for one, other in zip(found, truth, strict=True))
