"""Which trainings are missing, what each would cost, and in which order to run them: cheapest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from tiedlm.errors import ArgumentError, suggestion
from tiedlm.paper.collect import Row
from tiedlm.paper.costs import Estimate, begun, estimate
from tiedlm.paper.published import BESIDE, PUBLISHED
from tiedlm.paper.published_citations import CITATIONS
from tiedlm.paper.published_predictions import AUGMENTED, BASELINE
from tiedlm.runs.config import Precision

SEEDS = (0, 1, 2)
"""Seeds that a row should have: with fewer than three there is no test."""

TARGETS: dict[str, tuple[str, ...]] = {
    "table1": tuple(name for name, row in PUBLISHED.items() if row.table == "Table 1"),
    "table2": tuple(name for name, row in PUBLISHED.items() if row.table == "Table 2"),
    "table3": tuple(
        dict.fromkeys(
            [
                *(cited.recipe for cited in CITATIONS if cited.recipe),
                *(name for name, row in PUBLISHED.items() if row.table == "Table 3"),
            ]
        )
    ),
    "table4": (BASELINE, AUGMENTED),
    "figure2": tuple(name for name, row in PUBLISHED.items() if row.table == "Table 1" and row.corpus == "ptb"),
    "beside": tuple(name for name, row in PUBLISHED.items() if row.table == BESIDE),
}
"""Tables and figures → the rows whose runs they are made of."""
FIGURE_1 = "figure1"
"""The target that is made of no rows, but of runs of its own."""


@final
@dataclass(frozen=True, kw_only=True)
class Step:
    """A training that is missing."""

    recipe: str
    seed: int
    training: int
    """1, or 2 for one that starts from the weights of the first."""
    estimate: Estimate | None
    """What it would cost; None where that is not known."""


def select(targets: Sequence[str], only: Sequence[str] = ()) -> list[str]:
    """Return the names of rows, in the order of the paper.

    Args:
        targets: tables, figures and rows; none: every row.
        only: parts of names, such as "small" or "real", all of which a row's name must have.

    Raises:
        ArgumentError: a target or a part that there is not, or nothing that is left.
    """
    known = [*TARGETS, *PUBLISHED]
    wanted = {name for target in targets for name in _rows_of(target, known)} if targets else set(PUBLISHED)
    parts = {part for name in PUBLISHED for part in name.split("-")}
    for part in only:
        if part not in parts:
            raise ArgumentError(
                f"No row has {part!r} in its name.{suggestion(part, parts)} Parts: {', '.join(sorted(parts))}."
            )
    found = [name for name in PUBLISHED if name in wanted and set(only) <= set(name.split("-"))]
    if not found:
        raise ArgumentError(f"No row of {', '.join(targets)} has {' and '.join(only)} in its name.")
    return found


def _rows_of(target: str, known: Sequence[str]) -> tuple[str, ...]:
    if target == FIGURE_1:
        raise ArgumentError(f"{FIGURE_1} is made of runs of its own, and of no rows: name it alone.")
    if target not in known:
        raise ArgumentError(
            f"There is no table, figure or row {target!r}.{suggestion(target, [*known, FIGURE_1])} Tables and figures: "
            f"{', '.join([*TARGETS, FIGURE_1])}; rows: `tiedlm reproduce --list`."
        )
    return TARGETS.get(target, (target,))


def missing(
    names: Iterable[str],
    rows: Mapping[str, Row],
    here: str,
    seeds: Sequence[int] = SEEDS,
    *,
    precision: Precision | None = None,
) -> list[Step]:
    """Return the trainings that rows lack, cheapest first; in the order of the paper where no cost is known.

    A second training follows its first.

    Args:
        names: the rows.
        rows: all rows with their results.
        here: the machine to estimate costs for.
        seeds: seeds that each row should have.
        precision: to estimate costs for; None: the recipe's.
    """
    steps = [
        Step(recipe=name, seed=seed, training=training, estimate=cost)
        for name in names
        for cost in [estimate(name, rows, begun(here, precision))]
        for seed in seeds
        for training in range(1, PUBLISHED[name].trainings + 1)
        if seed not in rows[name].after(training)
    ]
    return sorted(steps, key=_cost)  # a stable order: of equal cost, as in the paper, then by seed and training


def _cost(step: Step) -> float:
    return 0.0 if step.estimate is None else step.estimate.seconds
