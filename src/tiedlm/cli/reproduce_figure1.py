"""`tiedlm reproduce figure1`: trains the runs of the theory experiment that are missing, within a budget."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from tiedlm.cli.main import INTERRUPTED
from tiedlm.cli.output import say
from tiedlm.paper.figure1 import FOLDER
from tiedlm.paper.theory import Figure1Status, run_missing
from tiedlm.training.display import PlainDisplay

THREADS = 1
"""Threads of a run: its products are small, and commands beside each other fill the cores."""


def reproduce_figure1(results: Path, runs: Sequence[int], *, budget_seconds: int | None, data_dir: Path | None) -> int:
    """Train what is missing of Figure 1, say what is left, and return the exit status.

    Args:
        results: the folder of all results; the figure's is made in it.
        runs: numbers of the runs that each point should have.
        budget_seconds: when to stop; None: no limit.
        data_dir: folder with corpora; None is the usual one.

    Raises:
        TiedlmError: as `run_missing`.
    """
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(THREADS)
        status = run_missing(runs, results / FOLDER, data_dir, PlainDisplay(), budget_seconds=budget_seconds)
    except KeyboardInterrupt:
        say("tiedlm: interrupted; what was done is kept, and the same command goes on with it", file=sys.stderr)
        return INTERRUPTED
    finally:
        torch.set_num_threads(before)
    say(_status_text(status))
    return 0


def _status_text(status: Figure1Status) -> str:
    if not status.missing:
        return "Nothing is missing: `tiedlm reproduce --render` draws the figure of what there is."
    why = "the time is up" if status.out_of_time else "other processes are at them"
    return (
        f"{status.finished} runs are finished, {status.missing} are not ({why}): the same command goes on with them. "
        "`tiedlm reproduce --render` draws the figure of what there is."
    )
