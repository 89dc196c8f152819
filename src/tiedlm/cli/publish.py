"""`tiedlm publish`: what a finished run leaves for others to read goes to `results/<recipe>/seed-<seed>/`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tiedlm.cli.output import say
from tiedlm.cli.parsing import Device, Directory, RunPath, Switch, parse


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Write a finished run's config, environment, thinned metrics, scores and provenance to its results folder.

    Its weights are measured in one more pass over the test text, as `tiedlm analyze` does, and that is written too. No
    weights are written. Only the recipes as they are have results: seed and runtime may differ, nothing else.
    """

    run: RunPath
    """The run folder."""
    results: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("results")
    """The folder of all results."""
    replace: Switch = False
    """Put this result in the place of another one of its recipe and seed."""
    data_dir: Directory = None
    """Where the run's corpus is, if not in the usual data folder."""
    device: Device = "cpu"
    """Device to measure the weights on: `cpu`, `cuda`, or another that PyTorch names."""


def main(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    given = parse(Arguments, arguments, "publish")
    from tiedlm.paper.publish import publish

    say(publish(given.run, given.results, replace=given.replace, data_dir=given.data_dir, device=given.device))
    return 0
