"""`tiedlm reproduce`: the paper's rows, what of them stands and what is missing; tables and figures from results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from tiedlm.cli.arguments import Budget, Device, Directory, Integer, RunPath, Seeds, Switch, parse
from tiedlm.cli.output import say
from tiedlm.errors import ArgumentError, RunError
from tiedlm.paper.figure1 import RUNS
from tiedlm.paper.plan import FIGURE_1, SEEDS
from tiedlm.runs.config import Precision

TRAINING = ("--seeds", "--budget", "--jobs", "--precision", "--device", "--data-dir")
"""Options of trainings."""
OF_FIGURE_1 = ("--seeds", "--budget", "--data-dir")
"""Those of the runs of Figure 1, which are the same everywhere."""


@dataclass(frozen=True, kw_only=True)
class ReproduceArgs:
    """Train what the paper's rows lack, show how far they are, or make tables and figures anew from the results.

    With targets alone it trains: cheapest first, several at once, going on with what was cut, and publishes what is
    finished. Targets are tables and figures (table1, table2, table3, table4, figure1, figure2), `beside` and `controls`
    (rows that the paper lacks) and rows, which have their recipes' names; none means all rows but controls, to list.
    figure1 is named alone: its runs are those of the theory experiment, one after the other, and the command given
    several times at once shares them.
    """

    targets: Annotated[tuple[str, ...], tyro.conf.arg(metavar="[TARGET ...]"), tyro.conf.Positional] = ()
    """Tables, figures or rows to train or to list."""
    list: Switch = False
    """List rows: published, ours, seeds, what is missing, and what that would cost here."""
    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="PART [PART ...]")] = ()
    """Only rows with these parts in their names, such as `small` or `real`."""
    json: Switch = False
    """List as JSON, with every missing training and its command."""
    seeds: Seeds = None
    """Train these seeds, as in 0-2 or 0,2,5; without it 0-2. For figure1, these runs of each point; without it 0-4."""
    budget: Budget = None
    """Stop training after so long, as in 9m or 1h30m; the same command again goes on."""
    jobs: Integer = None
    """How many trainings at once; without it as many as there are cores, on a GPU at most 4."""
    precision: Precision | None = None
    """Precision of the trainings that are begun, or whose costs are listed; without it the recipe's."""
    device: Annotated[str | None, tyro.conf.arg(metavar="DEVICE")] = None
    """Device of those trainings, such as `cuda`; without it the recipe's, which is the CPU."""
    data_dir: Directory = None
    """Folder in which the corpora are, or to which they are downloaded; without it the usual data folder."""
    render: Switch = False
    """Make every table and figure, and the generated parts of README.md and docs/results.md."""
    check: Switch = False
    """Write nothing; fail where what is there is not what the results make."""
    project: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path(".")
    """Folder of the project, which holds `results/`, `docs/` and `README.md`."""


def reproduce(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    given = parse(ReproduceArgs, arguments, "reproduce")
    _check(given)
    if given.render:
        _render(given.project, check=given.check)
        return 0
    if not given.list:
        return _train(given)
    from tiedlm.cli.reproduce_list import print_list

    print_list(given.project / "results", given.targets, given.only, runtime=_runtime(given), json=given.json)
    return 0


def _check(given: ReproduceArgs) -> None:
    """Refuse options that have no effect on each other."""
    if given.list and given.render:
        raise ArgumentError("Give either --list, to see what stands and what is missing, or --render.")
    if not (given.list or given.render or given.targets):
        raise ArgumentError(
            "Name what to reproduce, as in `tiedlm reproduce table1 --only small`, or give --list, to see what there "
            "is and what is missing, or --render."
        )
    if FIGURE_1 in given.targets and len(given.targets) > 1:
        raise ArgumentError(f"{FIGURE_1} is made of runs of its own, and of no rows: name it alone.")
    doing, has_effect = _what_has_effect(given)
    useless = [
        name for name, value in _options(given).items() if value not in (None, False, ()) and name not in has_effect
    ]
    if useless:
        raise ArgumentError(f"{', '.join(useless)} has no effect {doing}. Leave it out.")


def _what_has_effect(given: ReproduceArgs) -> tuple[str, tuple[str, ...]]:
    """Return what is done, in words, and the options that go with it."""
    if given.render:
        return "with --render", ("--check",)
    if given.list:
        of_rows = ("--only", "--precision", "--device") if given.targets != (FIGURE_1,) else ()
        return "with --list", ("TARGET", "--json", *of_rows)
    if given.targets == (FIGURE_1,):
        return f"with {FIGURE_1}", ("TARGET", *OF_FIGURE_1)
    return "without --list or --render", ("TARGET", "--only", *TRAINING)


def _options(given: ReproduceArgs) -> dict[str, object]:
    """Return the name of each option that does not go with everything, and its value."""
    fields = {"TARGET": given.targets, "--only": given.only, "--json": given.json, "--check": given.check}
    return fields | {name: getattr(given, name.removeprefix("--").replace("-", "_")) for name in TRAINING}


def _train(given: ReproduceArgs) -> int:
    if given.targets == (FIGURE_1,):
        from tiedlm.cli.reproduce_figure1 import reproduce_figure1

        return reproduce_figure1(
            given.project / "results", given.seeds or RUNS, budget_seconds=given.budget, data_dir=given.data_dir
        )
    from tiedlm.cli.reproduce_train import Wanted, train_missing

    wanted = Wanted(
        targets=given.targets,
        only=given.only,
        seeds=given.seeds or SEEDS,
        budget_seconds=given.budget,
        at_once=given.jobs,
        runtime=_runtime(given),
        data_dir=given.data_dir,
    )
    return train_missing(given.project / "results", wanted)


def _runtime(given: ReproduceArgs) -> dict[str, str]:
    """Return the fields of the runtime that are asked for."""
    asked = {"precision": given.precision, "device": given.device}
    return {name: value for name, value in asked.items() if value is not None}


def _render(project: Path, *, check: bool) -> None:
    from tiedlm.paper.render import changes, write

    if not check:
        written = write(project)
        for path in written:
            say(path)
        say(f"Files written: {len(written)}. All others are as the results make them already.")
        return
    if found := list(changes(project)):
        raise RunError(
            f"{len(found)} files are not as {project / 'results'} makes them: {', '.join(map(str, found))}. "
            "`tiedlm reproduce --render` makes them anew; pictures are equal to the byte only with the versions of "
            "matplotlib and pillow in constraints.txt."
        )
    say("Every table and figure is as the results make it.")


@dataclass(frozen=True, kw_only=True)
class PublishArgs:
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


def publish(arguments: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    given = parse(PublishArgs, arguments, "publish")
    from tiedlm.paper.publish import publish as publish_run

    say(publish_run(given.run, given.results, replace=given.replace, data_dir=given.data_dir, device=given.device))
    return 0
