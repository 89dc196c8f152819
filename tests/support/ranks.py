"""Processes that work together over `torch.distributed`: several that are started for it, or the one of the test."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import start_processes

SECONDS = 600
"""Long enough for a machine that does other things too; a lost rank is noticed by the others after half of it."""

Work = Callable[[Path, int], None]
"""What a rank does, given a folder for its results and its number; to be found by its name from another process."""


def run(work: Work, ranks: int, folder: Path) -> None:
    """Start that many processes, have each do the work as a rank of one group, and wait; an error of any is raised."""
    known = multiprocessing.get_all_start_methods()
    method = "forkserver" if "forkserver" in known else "spawn"  # the former imports torch once for all of them
    if method == "forkserver":
        multiprocessing.set_forkserver_preload(["torch", "torch.distributed", "numpy"])
    context = start_processes(_rank, (work, ranks, folder), ranks, join=False, start_method=method)
    assert context is not None
    deadline = time.monotonic() + SECONDS
    try:
        while not context.join(timeout=5):
            assert time.monotonic() < deadline, "a rank did not end"
    finally:
        for process in filter(None, context.processes):
            process.kill()


def _rank(rank: int, work: Work, ranks: int, folder: Path) -> None:
    torch.set_num_threads(1)
    with _group(folder, rank, ranks):
        work(folder, rank)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Within the block this process is the only one of its group."""
    with _group(folder, 0, 1):
        yield


@contextmanager
def _group(folder: Path, rank: int, ranks: int) -> Iterator[None]:
    meeting = (folder / "meeting").as_uri()
    patience = timedelta(seconds=SECONDS / 2)
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=ranks, timeout=patience)
    try:
        yield
    finally:
        dist.destroy_process_group()
