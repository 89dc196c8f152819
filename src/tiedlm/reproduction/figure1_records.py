"""What is on the disk of Figure 1: a record of every run, and `points.json`, which is made of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tiedlm.checkpoint.saving import saving
from tiedlm.config import to_json
from tiedlm.errors import RunError
from tiedlm.files import read_json, write_json
from tiedlm.reproduction.theory_setting import TheoryConfig

FORMAT = 1
BETAS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Panel (a), at `PANEL_TEMPERATURE`: from cross-entropy alone to the augmented term alone."""
TEMPERATURES = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""Panel (b), with the augmented term alone."""
PANEL_TEMPERATURE = 10.0
"""tau of panel (a), as in the paper."""


class Point(NamedTuple):
    """A point of the figure."""

    tau: float
    beta: float


Records = Mapping[tuple[Point, int], dict[str, Any]]
"""(point, number of the run) → record."""


def panels() -> dict[str, list[Point]]:
    """Return the points of both panels; tau = 10 with beta = 1 is in both, and measured once."""
    return {
        "beta": [Point(PANEL_TEMPERATURE, beta) for beta in BETAS],
        "tau": [Point(tau, 1.0) for tau in TEMPERATURES],
    }


def record_path(out: Path, point: Point, run: int) -> Path:
    """Return where the record of a run is."""
    return out / "runs" / f"tau-{point.tau:g}-beta-{point.beta:g}-run-{run}.json"


def read_record(out: Path, config: TheoryConfig, point: Point, run: int) -> dict[str, Any]:
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
                "overwritten. Move the folder away to make the figure anew, or name another one."
            )
    if not 0 <= record.get("outcome", {}).get("distance", -1) <= 1:
        raise RunError(f"{path} holds no distance: it is damaged or was edited. Move it away to have the run repeated.")
    return record


def write_points(out: Path, records: Records, runs: int) -> Path:
    """Write `points.json` and return its path.

    Args:
        out: the folder of the figure's results.
        records: of every run of every point.
        runs: runs a point.
    """
    first = [records[Point(PANEL_TEMPERATURE, 1.0), run] for run in range(runs)]
    words = [record["outcome"]["words"] for record in first]
    content = {
        "format": FORMAT,
        "panels": {name: [_entry(point, records, runs) for point in panel] for name, panel in panels().items()},
        "words": round(sum(words) / len(words)),
        "words_by_run": words,
        "units": first[0]["config"]["units"],
        "config": {name: value for name, value in first[0]["config"].items() if name not in ("temperature", "beta")},
        "environment": first[0]["environment"],
        "command": f"tiedlm figure1 --runs {runs} --epochs {first[0]['config']['epochs']}",
    }
    path = out / "points.json"
    with saving(path):
        write_json(path, content)
    return path


def _entry(point: Point, records: Records, runs: int) -> dict[str, Any]:
    """Return a point with the figures of each run: the distance, and whether a table has collapsed."""
    outcomes = [records[point, run]["outcome"] for run in range(runs)]
    entry: dict[str, Any] = {"tau": point.tau, "beta": point.beta}
    entry["distances"] = [outcome["distance"] for outcome in outcomes]
    for table in ("vectors", "classifier"):
        for figure in ("mean_norm", "mean_cosine", "effective_directions"):
            entry[f"{table}_{figure}"] = [outcome[table][figure] for outcome in outcomes]
    for figure in ("feature_norm_squared", "cross_entropy_nats", "augmented"):
        entry[figure] = [outcome[figure] for outcome in outcomes]
    return entry
