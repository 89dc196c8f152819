"""`tiedlm compare`: runs side by side, and beside the paper where it has the row."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from tiedlm.cli.output import print_json, print_table, say
from tiedlm.cli.parsing import Switch, parse

if TYPE_CHECKING:
    from tiedlm.cli.run_summary import RunSummary

HEADINGS = ("run", "recipe", "parameters", "trainings", "best epoch", "time", "valid", "test", "paper's two")


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """Set runs side by side: parameters, epochs, time, perplexities, and the paper's two for the recipe.

    A run whose config was changed is not set against the paper. Of a training that goes on, the best validation so far
    is shown.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="RUN [RUN ...]"), tyro.conf.Positional]
    """The run folders."""
    json: Switch = False
    """Print a JSON list, with all digits."""


def main(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    given = parse(Arguments, arguments, "compare")
    from tiedlm.cli.run_summary import summarize
    from tiedlm.errors import ArgumentError

    if not given.runs:
        raise ArgumentError("Name the runs to compare: `tiedlm compare RUN RUN ...`.")
    summaries = [summarize(path) for path in given.runs]
    if given.json:
        print_json([summary.to_json() for summary in summaries])
        return 0
    print_table(HEADINGS, [_row(summary) for summary in summaries], align="llr")
    for summary in summaries:
        if summary.paper_trainings not in (None, summary.trainings):
            say(f"{summary.run}: {_times(summary.trainings)}; the paper's figures: {_times(summary.paper_trainings)}")
    protocols = dict.fromkeys(summary.protocol for summary in summaries if summary.protocol)
    for protocol in protocols:
        say(f"protocol: {protocol}")
    if len(protocols) > 1:
        say("The runs were scored under several protocols: their figures do not compare.", file=sys.stderr)
    return 0


def _row(summary: RunSummary) -> list[str]:
    from tiedlm.training.duration import duration

    return [
        summary.run,
        f"{summary.recipe} (changed)" if summary.changed else summary.recipe,
        str(summary.parameters),
        str(summary.trainings),
        "-" if summary.best_epoch is None else f"{summary.best_epoch} of {summary.epochs}",
        duration(summary.seconds),
        _perplexity(summary.valid),
        _perplexity(summary.test),
        "-" if summary.paper_test is None else f"{summary.paper_valid} / {summary.paper_test}",
    ]


def _times(trainings: int | None) -> str:
    return "one training" if trainings == 1 else f"{trainings} trainings, each from the weights of the one before"


def _perplexity(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
