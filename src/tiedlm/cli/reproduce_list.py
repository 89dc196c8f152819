"""`tiedlm reproduce --list`: every row with the paper's figure, ours, what is missing, and what it would cost here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tiedlm.cli.output import print_json, print_table, say
from tiedlm.cli.reproduce_costs import cost, what_costs_are
from tiedlm.native.device import device_name, processor
from tiedlm.paper.figure1 import Figure1, read_outcomes, summary_text
from tiedlm.paper.plan import (
    FIGURE_1,
    Estimate,
    Missing,
    Training,
    default_conditions,
    missing,
    select,
    trainings,
)
from tiedlm.paper.plan import summary_text as rows_text
from tiedlm.paper.results import Conditions, Row, read_rows
from tiedlm.paper.tables import NOT_RUN, figure1_table
from tiedlm.runs.config import RuntimeConfig

HEADINGS = ("row", "in", "paper's test", "ours", "seeds", "missing", "cost here")


def print_list(
    results: Path, targets: Sequence[str], only: Sequence[str], *, runtime: Mapping[str, Any], json: bool
) -> None:
    """Print the rows that are asked for, with the costs of trainings whose `runtime` has these fields changed.

    Raises:
        TiedlmError: targets that there are not, results that are refused, run folders that are damaged.
    """
    figure1 = read_outcomes(results)
    if list(targets) == [FIGURE_1]:
        _print_figure1(figure1, json=json)
        return
    rows, where = read_rows(results), machine(runtime)
    names, precision = select(targets, only), runtime.get("precision")
    steps = missing(names, rows, where, precision=precision)
    if json:
        print_json(_as_json(names, rows, steps, runtime))
        return
    here = default_conditions(where, precision)
    cells = [_cells(rows[name], [step for step in steps if step.recipe == name], here) for name in names]
    print_table(HEADINGS, cells, align="llrlrll")
    say(f"\n{what_costs_are(here) if steps else ''}{rows_text(rows)}{summary_text(figure1)}")


def machine(runtime: Mapping[str, Any]) -> str:
    """Return the processor, or the accelerator that trainings are to be on, as results name them.

    Raises:
        ConfigError: there is no such device here.
    """
    device = runtime.get("device", RuntimeConfig().device)
    if device == "cpu":
        return processor()
    from tiedlm.native.device import resolve_device

    resolve_device(device)
    return device_name(device)


def _cells(row: Row, steps: Sequence[Missing], here: Conditions) -> list[str]:
    paper = row.published
    again = "" if paper.trainings == 1 else f" ({paper.trainings} trainings)"
    printed = "-" if paper.test is None else f"{paper.test}{again}"
    seeds = " ".join(map(str, row.results)) or "-"
    lacking = ", ".join(f"{step.seed}{'' if step.training == 1 else ' again'}" for step in steps)
    return [row.name, paper.table, printed, _ours(row), seeds, lacking or "-", cost(steps, here)]


def _ours(row: Row) -> str:
    sample = row.test()
    if sample is not None:
        return sample.text()
    others = {number: row.perplexity("test", number) for number in row.trainings()}
    told = [f"{found.text()} after {number}" for number, found in others.items() if found is not None]
    return told[-1] if told else NOT_RUN


def _print_figure1(figure1: Figure1 | None, *, json: bool) -> None:
    """Print the points of Figure 1, and what of it is missing."""
    if json:
        print_json({"figure1": None if figure1 is None else _figure1_json(figure1)})
        return
    if figure1 is not None:
        table = figure1_table(figure1)
        print_table(table.headings, table.rows(), align=table.align)
        say()
    say(summary_text(figure1))


def _figure1_json(figure1: Figure1) -> dict[str, Any]:
    missing = [{"tau": tau, "beta": beta, "runs": runs} for (tau, beta), runs in figure1.missing().items()]
    return {**asdict(figure1), "chance": figure1.chance, "missing": missing}


def _as_json(
    names: Sequence[str], rows: dict[str, Row], steps: Sequence[Missing], runtime: Mapping[str, Any]
) -> dict[str, Any]:
    estimates = {step.recipe: step.estimate for step in steps}
    return {
        "rows": [_row_json(rows[name]) for name in names],
        "missing": [asdict(step) for step in steps],
        "trainings": [_training_json(one, estimates[one.config.recipe], runtime) for one in trainings(steps)],
    }


def _row_json(row: Row) -> dict[str, Any]:
    ours = {
        str(number): {split: sample.by_seed for split in ("valid", "test") if (sample := row.perplexity(split, number))}
        for number in row.trainings()
    }
    return {
        "row": row.name,
        "published": {"row": row.published.model, **asdict(row.published)},
        "ours_after_trainings": ours,
    }


def _training_json(training: Training, estimate: Estimate | None, runtime: Mapping[str, Any]) -> dict[str, Any]:
    command = training.command()
    if not training.run_dir.exists():  # one that is begun keeps its own
        command += "".join(f" --runtime.{name} {value}" for name, value in sorted(runtime.items()))
    conditions = None if estimate is None else {"size": estimate.of_size, **asdict(estimate.conditions)}
    return {"command": command, "done": training.done, "seconds_left": training.seconds, "seconds_of": conditions}
