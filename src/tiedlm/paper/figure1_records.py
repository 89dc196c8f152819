"""The grid of Figure 1, and a record of every finished run of it, in `results/figure1/runs/`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from tiedlm.config import to_json
from tiedlm.errors import RunError
from tiedlm.files import read_json
from tiedlm.paper.theory_setting import TheoryConfig

FORMAT = 4
"""Of a record."""
BETAS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Panel (a), at `PANEL_TEMPERATURE`: from cross-entropy alone to the augmented term alone."""
TEMPERATURES = (1.0, 2.0, 5.0, 10.0, 20.0)
"""Panel (b), with the augmented term alone."""
PANEL_TEMPERATURE = 10.0
"""tau of panel (a), as in the paper."""
RUNS = (0, 1, 2, 3, 4)
"""Runs of each point where none are named; the paper made 10."""
TRAINING = TheoryConfig(temperature=1.0, beta=1.0)
"""How every run is trained; temperature and beta are those of its point."""
_NUMBER = re.compile(r"-run-(\d+)\.json$")


class Setting(NamedTuple):
    """A point of the grid."""

    tau: float
    beta: float

    def __str__(self) -> str:
        return f"tau {self.tau:g}, beta {self.beta:g}"


Records = Mapping[tuple[Setting, int], dict[str, Any]]
"""(point, number of the run) → record."""


def panels() -> dict[str, list[Setting]]:
    """Return the points of both panels; tau = 10 with beta = 1 is in both, and measured once."""
    return {
        "beta": [Setting(PANEL_TEMPERATURE, beta) for beta in BETAS],
        "tau": [Setting(tau, 1.0) for tau in TEMPERATURES],
    }


def settings() -> list[Setting]:
    """Return every point once."""
    return list(dict.fromkeys(point for panel in panels().values() for point in panel))


def record_path(out: Path, point: Setting, run: int) -> Path:
    """Return where the record of a run is."""
    return out / "runs" / f"tau-{point.tau:g}-beta-{point.beta:g}-run-{run}.json"


def read_records(out: Path, training: TheoryConfig) -> dict[tuple[Setting, int], dict[str, Any]]:
    """Return the records of all finished runs, by point and number.

    Args:
        out: the folder of the figure's results.
        training: how they should have been trained, up to temperature and beta.

    Raises:
        RunError: a record is damaged, or of another training.
    """
    return {
        (point, run): read_record(out, replace(training, temperature=point.tau, beta=point.beta), point, run)
        for point in settings()
        for run in _runs_of(out, point)
    }


def _runs_of(out: Path, point: Setting) -> list[int]:
    paths = (out / "runs").glob(f"tau-{point.tau:g}-beta-{point.beta:g}-run-*.json")
    return sorted(int(found[1]) for path in paths if (found := _NUMBER.search(path.name)))


def read_record(out: Path, config: TheoryConfig, point: Setting, run: int) -> dict[str, Any]:
    """Return the record of a run.

    Raises:
        RunError: it is missing, damaged, or of another training than `config`.
    """
    path = record_path(out, point, run)
    record = read_json(path)
    wanted = {"format": FORMAT, "config": to_json(config), "run": run}
    for name, value in wanted.items():
        if not isinstance(record, dict) or record.get(name) != value:
            raise RunError(
                f"{path} is of another training than is asked for: its {name} should be {value}. Nothing was "
                "overwritten. Move the folder away to make the figure anew."
            )
    outcome = record.get("outcome")
    if not isinstance(outcome, dict) or not _is_share(outcome.get("distance")):
        raise RunError(f"{path} holds no distance: it is damaged or was edited. Move it away to have the run repeated.")
    return record


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and 0 <= value <= 1
