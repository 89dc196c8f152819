"""`tiedlm figure1`: measure what is missing of the paper's Figure 1, the theory experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from tiedlm.cli.parsing import Directory, parse
from tiedlm.errors import ArgumentError
from tiedlm.reproduction.theory_setting import TheoryConfig


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Train the small networks of the theory experiment, and write the distances of their tables to points.json.

    Every finished run is kept, so the command may be interrupted, and goes on when it is given again; more runs may be
    asked for later. Given several times at once, the commands share the work.
    """

    runs: int = 5
    """Runs for each of the points; the paper made 10."""
    epochs: int = TheoryConfig.epochs
    """Passes over the 20,000 words of a run; all runs of a folder need the same."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("results/figure1")
    """The folder of the figure's results."""
    data_dir: Directory = None
    """Where the Penn Treebank is, if not in the usual data folder."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where to train."""
    threads: int | None = None
    """Threads of one training; None leaves the choice to PyTorch."""

    def __post_init__(self) -> None:
        for name in ("runs", "epochs", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ArgumentError(f"--{name} is {value}, but must be 1 or more.")


def main(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    given = parse(Arguments, arguments, "figure1")
    import torch

    from tiedlm.reproduction.figure1_runs import measure_figure1
    from tiedlm.training.display import PlainDisplay

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(given.threads or before)
        training = TheoryConfig(
            temperature=1.0, beta=1.0, epochs=given.epochs
        )  # the points have their own of these two
        points = measure_figure1(
            given.runs, given.out, given.data_dir, PlainDisplay(), device=given.device, training=training
        )
    finally:
        torch.set_num_threads(before)
    if points is not None:
        print(points)
    return 0
