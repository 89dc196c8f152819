"""Commands on the paper's rows: `reproduce` (train, list, render) and `publish` (a finished run's result)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from tiedlm.cli.arguments import Budget, Device, Directory, Integer, Names, RunPath, Seeds, Switch, parse, refuse_unused
from tiedlm.cli.main import INTERRUPTED
from tiedlm.cli.output import print_json, print_table, say
from tiedlm.cli.train import require_finished, warn_slow_bfloat16
from tiedlm.errors import ArgumentError, RunError
from tiedlm.runs.config import Precision, RuntimeConfig

if TYPE_CHECKING:
    from tiedlm.paper.plan import Missing, Training
    from tiedlm.paper.results import Conditions, Row

_MODE = tyro.conf.create_mutex_group(required=False, title="instead of training")


@dataclass(frozen=True, kw_only=True)
class ReproduceArgs:
    """Train missing runs of the paper's rows, list their status, or re-render tables and figures.

    With targets alone it trains: cheapest first, several at once, resuming what was interrupted, and publishes what is
    finished. Targets are tables and figures (table1, table2, table3, table4, figure1, figure2), `beside` and `controls`
    (rows that the paper lacks) and rows, which have their recipes' names; none means all rows but controls, to list.
    figure1 is named alone: its runs are those of the theory experiment, one after the other, and the command given
    several times at once shares them.
    """

    targets: Annotated[Names, tyro.conf.arg(metavar="[TARGET ...]"), tyro.conf.Positional] = ()
    """Tables, figures or rows to train or to list."""
    list: Annotated[Switch, _MODE] = False
    """List rows: published, ours, seeds, what is missing, and what that would cost here."""
    render: Annotated[Switch, _MODE] = False
    """Render every table and figure, and the generated parts of README.md and docs/results.md."""
    only: Annotated[Names, tyro.conf.arg(metavar="PART [PART ...]")] = ()
    """Only rows with these parts in their names, such as `small` or `real`."""
    json: Switch = False
    """With --list, print JSON, with every missing training and its command."""
    check: Switch = False
    """With --render, write nothing; fail where a file differs from what the results give."""
    seeds: Seeds = None
    """Train these seeds, as in 0-2 or 0,2,5. Default: 0-2. With figure1, these runs of each point. Default: 0-4."""
    budget: Budget = None
    """Stop training after this time, as in 9m or 1h30m. Run the same command again to resume."""
    jobs: Integer = None
    """How many trainings at once. Default: as many as there are cores, on a GPU at most 4."""
    precision: Annotated[Precision | None, tyro.conf.arg(help_behavior_hint="")] = None
    """Precision of new trainings, or of those whose costs are listed. Default: the recipe's."""
    device: Annotated[str | None, tyro.conf.arg(metavar="DEVICE", help_behavior_hint="")] = None
    """Device of new trainings, such as `cuda`. Default: the recipe's, which is the CPU."""
    data_dir: Directory = None
    """Data folder, downloaded to if needed. Default: TIEDLM_DATA_DIR."""
    project: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path(".")
    """Folder of the project, which holds `results/`, `docs/` and `README.md`."""


def reproduce(argv: Sequence[str]) -> int:
    """Run the command and return the exit status."""
    args = parse(ReproduceArgs, argv, "reproduce")
    from tiedlm.paper.plan import FIGURE_1

    if args.render:
        refuse_unused(args, "with --render", ("render", "check", "project"))
        _render(args.project, check=args.check)
        return 0
    is_figure1 = args.targets == (FIGURE_1,)
    if FIGURE_1 in args.targets and not is_figure1:
        raise ArgumentError(f"{FIGURE_1} consists of runs of its own and not of rows: name it alone.")
    if args.list:
        used = ("targets", "list", "json", "project", *(() if is_figure1 else ("only", "precision", "device")))
        refuse_unused(args, "with --list figure1" if is_figure1 else "with --list", used)
        _list_figure1(args) if is_figure1 else _list_rows(args)
        return 0
    if not args.targets:
        raise ArgumentError(
            "Name what to reproduce, as in `tiedlm reproduce table1 --only small`, or give --list or --render."
        )
    used = ("targets", "seeds", "budget", "data_dir", "project")
    if is_figure1:
        refuse_unused(args, f"with {FIGURE_1}", used)
    else:
        refuse_unused(args, "without --list or --render", (*used, "only", "jobs", "precision", "device"))
    try:
        _train_figure1(args) if is_figure1 else _train_rows(args)
    except KeyboardInterrupt:
        say("tiedlm: interrupted; progress is saved. Run the same command again to resume.", sys.stderr)
        return INTERRUPTED
    return 0


def _render(project: Path, *, check: bool) -> None:
    from tiedlm.paper.render import changes, write

    if not check:
        written = write(project)
        for path in written:
            say(path)
        say(f"Files written: {len(written)}. All others are up to date.")
        return
    if stale := list(changes(project)):
        raise RunError(
            f"{len(stale)} files differ from what {project / 'results'} gives: {', '.join(map(str, stale))}. Render "
            "them with `tiedlm reproduce --render`; pictures are equal to the byte only with the versions of "
            "matplotlib and pillow in constraints.txt."
        )
    say("All tables and figures are up to date.")


def _runtime(args: ReproduceArgs) -> dict[str, Any]:
    fields = {"precision": args.precision, "device": args.device}
    return {name: value for name, value in fields.items() if value is not None}


def _machine(device: str | None) -> str:
    """Return the processor or accelerator of trainings, as results name them; ConfigError where there is none."""
    from tiedlm.native import device as native_device

    device = device or RuntimeConfig().device
    if device == "cpu":
        return native_device.processor()
    native_device.resolve_device(device)
    return native_device.device_name(device)


def _list_figure1(args: ReproduceArgs) -> None:
    from tiedlm.paper.figure1 import read_outcomes, summary_text
    from tiedlm.paper.tables import figure1_table

    figure1 = read_outcomes(args.project / "results")
    if args.json:
        value = None
        if figure1 is not None:
            missing = [{"tau": tau, "beta": beta, "runs": runs} for (tau, beta), runs in figure1.missing().items()]
            value = {**asdict(figure1), "chance": figure1.chance, "missing": missing}
        print_json({"figure1": value})
        return
    if figure1 is not None:
        table = figure1_table(figure1)
        print_table(table.headings, table.texts(), align=table.align)
        say()
    say(summary_text(figure1))


def _list_rows(args: ReproduceArgs) -> None:
    from tiedlm.paper import figure1
    from tiedlm.paper.plan import default_conditions, missing, select, summary_text, trainings
    from tiedlm.paper.results import read_rows

    results, runtime = args.project / "results", _runtime(args)
    outcomes, rows, where = figure1.read_outcomes(results), read_rows(results), _machine(args.device)
    names = select(args.targets, args.only)
    lacking = missing(names, rows, where, precision=args.precision)
    if args.json:
        listed = [_row_json(rows[name]) for name in names]
        commands = [_training_json(each, runtime) for each in trainings(lacking)]
        print_json({"rows": listed, "missing": [asdict(each) for each in lacking], "trainings": commands})
        return
    here = default_conditions(where, args.precision)
    cells = [_row_cells(rows[name], [each for each in lacking if each.recipe == name], here) for name in names]
    print_table(("row", "in", "paper's test", "ours", "seeds", "missing", "cost here"), cells, align="llrlrll")
    costs = (
        f"Costs: estimated time of one process ({here.precision}, {_threads(here)}, {here.machine}).\n"
        "Brackets name what differed in the runs that the estimate is based on. An estimate from another size of\n"
        "network is rough, by the work of the matrix products. A first training whose run is not here is repeated.\n"
    )
    say(f"\n{costs if lacking else ''}{summary_text(rows)}{figure1.summary_text(outcomes)}")


def _row_cells(row: Row, lacking: Sequence[Missing], here: Conditions) -> list[str]:
    from tiedlm.paper.plan import trainings
    from tiedlm.paper.tables import NOT_RUN
    from tiedlm.training.display import duration

    paper, ours = row.published, NOT_RUN
    times = "" if paper.trainings == 1 else f" ({paper.trainings} trainings)"
    printed = "-" if paper.test is None else f"{paper.test}{times}"
    if (sample := row.test()) is not None:
        ours = sample.text()
    elif row.trainings():  # fewer trainings than the paper's figure has
        ours = [f"{s.text()} after {n}" for n in row.trainings() if (s := row.perplexity("test", n)) is not None][-1]
    missing = ", ".join(f"{each.seed}{'' if each.training == 1 else ' again'}" for each in lacking) or "-"
    cost = "unknown" if lacking else "-"
    if lacking and (estimate := lacking[0].estimate) is not None:
        recorded = estimate.conditions
        differ = [] if estimate.of_size == paper.size else [f"{estimate.of_size} network"]
        differ += [] if recorded.precision == here.precision else [recorded.precision]
        differ += [] if recorded.threads == here.threads else [_threads(recorded)]
        differ += [] if recorded.machine == here.machine else [recorded.machine]
        cost = duration(sum(training.seconds or 0.0 for training in trainings(lacking)))
        cost += f" ({', '.join(differ)})" if differ else ""
    return [row.name, paper.table, printed, ours, " ".join(map(str, row.results)) or "-", missing, cost]


def _threads(conditions: Conditions) -> str:
    return f"{conditions.threads} thread{'s' if conditions.threads > 1 else ''}"


def _row_json(row: Row) -> dict[str, Any]:
    ours = {
        str(number): {split: sample.by_seed for split in ("valid", "test") if (sample := row.perplexity(split, number))}
        for number in row.trainings()
    }
    published = {"row": row.published.model, **asdict(row.published)}
    return {"row": row.name, "published": published, "ours_after_trainings": ours}


def _training_json(training: Training, runtime: dict[str, Any]) -> dict[str, Any]:
    estimate = training.estimate
    conditions = None if estimate is None else {"size": estimate.of_size, **asdict(estimate.conditions)}
    left = {"done": training.done, "seconds_left": training.seconds, "seconds_of": conditions}
    return {"command": training.command(runtime), **left}


def _train_figure1(args: ReproduceArgs) -> None:
    import torch

    from tiedlm.paper import figure1, theory

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)  # the products are small, and commands side by side fill the cores
        folder = args.project / "results" / figure1.FOLDER
        status = theory.run_missing(args.seeds or figure1.RUNS, folder, args.data_dir, say, budget_seconds=args.budget)
    finally:
        torch.set_num_threads(threads)
    if not status.missing:
        say("All requested results exist. Update the figure with `tiedlm reproduce --render`.")
        return
    why = "the time is up" if status.out_of_time else "other processes are training them"
    say(
        f"{status.finished} runs are finished, {status.missing} are not ({why}). Run the same command again to "
        "resume. `tiedlm reproduce --render` draws the figure from the finished runs."
    )


def _train_rows(args: ReproduceArgs) -> None:
    from tiedlm.paper.plan import SEEDS, missing, select, trainings
    from tiedlm.paper.results import read_rows
    from tiedlm.paper.tables import perplexity_table
    from tiedlm.training.jobs import JobState
    from tiedlm.training.launcher import launch

    results, runtime, where = args.project / "results", _runtime(args), _machine(args.device)
    names, rows, jobs = select(args.targets, args.only), read_rows(results), []
    for training in trainings(missing(names, rows, where, args.seeds or SEEDS, precision=args.precision)):
        repeats = None
        if training.start_from is None:
            repeats = rows[training.config.recipe].results.get(training.config.seed)
        jobs.append(training.job(runtime, results, args.data_dir, publish=repeats is None))
        if repeats is not None and not training.run_dir.exists():
            say(
                f"tiedlm: The second training needs the weights of {repeats.path}, which are not on this machine. The "
                "first training will be repeated; publish both with `tiedlm publish RUN --replace`.",
                sys.stderr,
            )
    if jobs:
        warn_slow_bfloat16((job.config for job in jobs if not job.run_dir.exists()), "--precision")
        outcomes = launch(jobs, max_parallel=args.jobs, budget_seconds=args.budget)
        require_finished([each for each in outcomes if each.state is JobState.FAILED], len(outcomes))
        done = sum(each.state is JobState.FINISHED for each in outcomes)
        if done < len(outcomes):
            say(f"{done} trainings are finished, {len(outcomes) - done} are not. Run the same command again to resume.")
    else:
        say("All requested results exist. Update tables and figures with `tiedlm reproduce --render`.")
    table = perplexity_table("rows", read_rows(results), names)
    say()
    print_table(table.headings, [[cell.strip("`") for cell in row] for row in table.texts()], align=table.align)


@dataclass(frozen=True, kw_only=True)
class PublishArgs:
    """Write a finished run's config, environment, thinned metrics, scores and provenance to its results folder.

    Its weights are measured in one more pass over the test text, as `tiedlm analyze` does, and that is written too. No
    weights are written. Only unchanged recipes have results: seed and runtime may differ, nothing else.
    """

    run: RunPath
    """The run folder."""
    results: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("results")
    """The folder of all results."""
    replace: Switch = False
    """Replace another result of this recipe and seed."""
    data_dir: Directory = None
    """Folder of the run's corpus. Default: TIEDLM_DATA_DIR."""
    device: Device = "cpu"
    """Device to measure the weights on: `cpu`, `cuda`, or another that PyTorch names."""


def publish(argv: Sequence[str]) -> None:
    args = parse(PublishArgs, argv, "publish")
    from tiedlm.paper import publish as publishing

    folder = publishing.publish(
        args.run, args.results, replace=args.replace, data_dir=args.data_dir, device=args.device
    )
    say(folder)
