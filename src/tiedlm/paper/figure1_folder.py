"""The result folder of Figure 1, made of the records of its finished runs; imports no torch.

results/figure1/
├── config.json        how a run is trained, temperature and beta aside
├── environment.json   versions, machines, threads, corpus: each that a run was trained in, once
├── points.json        the figures of every run, point by point (see `figure1_points`)
├── provenance.json    the command that repeats it, hours of training, sha256 of the files
└── runs/              a record of each run: config, environment, seconds and outcome
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tiedlm.checkpoint.saving import saving
from tiedlm.config import differing, from_json, to_json
from tiedlm.errors import ConfigError, RunError
from tiedlm.files import PARTIAL, json_bytes, read_json, sha256, write_bytes
from tiedlm.paper.figure1_records import Records, Setting, panels, record_path
from tiedlm.paper.layout import NOT_USED, PROVENANCE, checksum
from tiedlm.paper.theory_setting import TheoryConfig

FORMAT, VERSION = "tiedlm-figure1", 1
CONFIG, POINTS = "config.json", "points.json"
POINTS_FORMAT = 2
TABLES = ("mean_norm", "mean_cosine", "effective_directions")
BESIDE = ("distance_centred", "distance_as_trained", "feature_norm_squared", "cross_entropy_nats", "augmented")
"""Figures of a run beside its distance, and those of how its tables lie."""


def write_folder(out: Path, training: TheoryConfig, records: Records, runs: Sequence[int]) -> None:
    """Write the folder's files, of all runs that are finished; without any, nothing.

    Args:
        out: the folder.
        training: how every run was trained.
        records: of the runs that are finished.
        runs: numbers of the runs that each point should have.

    Raises:
        RunError: the disk is full or fails.
    """
    if not records:
        return
    wanted = sorted({*runs, *(run for _, run in records)})
    contents = {
        CONFIG: json_bytes(shared_config(training)),
        "environment.json": json_bytes(_environments(records)),
        POINTS: json_bytes(_points(records, wanted)),
    }
    files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    files |= {_name(point, run): sha256(record_path(out, point, run)) for point, run in sorted(records)}
    body = {
        "format": FORMAT,
        "version": VERSION,
        "command": f"tiedlm reproduce figure1 --seeds {_as_list(wanted)}",
        "training_seconds": sum(record["seconds"] for record in records.values()),
        "files": files,
    }
    with saving(out):
        for name, content in {**contents, PROVENANCE: json_bytes(body | {"checksum": checksum(body)})}.items():
            write_bytes(out / name, content)


def shared_config(training: TheoryConfig) -> dict[str, Any]:
    """Return as JSON how every run is trained, temperature and beta aside."""
    return {name: value for name, value in to_json(training).items() if name not in ("temperature", "beta")}


def check_folder(out: Path, training: TheoryConfig) -> None:
    """Refuse a folder whose files are not those that its provenance answers for, or whose runs were trained otherwise.

    Raises:
        RunError: a file is missing, damaged, edited, of a newer version, of another training than `training`, or no
            part of the folder; it is named.
    """
    path = out / PROVENANCE
    told = read_json(path)
    if not isinstance(told, dict) or (told.get("format"), told.get("version")) != (FORMAT, VERSION):
        raise RunError(f"{path} must be of format {FORMAT!r}, version {VERSION}. {NOT_USED} {_AGAIN}")
    if told.get("checksum") != checksum(told):
        raise RunError(f"{path} is damaged or was edited: it does not agree with its own checksum. {NOT_USED} {_AGAIN}")
    _check_files(out, told["files"])
    _check_nothing_else(out, told["files"])
    _check_training(out / CONFIG, training)


def _check_files(out: Path, files: dict[str, str]) -> None:
    for name, expected in files.items():
        if not (out / name).is_file():
            raise RunError(f"{out / name} is missing. {NOT_USED} {_AGAIN}")
        if sha256(out / name) != expected:
            raise RunError(f"{out / name} is damaged or was edited: its sha256 is another. {NOT_USED} {_AGAIN}")


def _check_nothing_else(out: Path, files: dict[str, str]) -> None:
    known = {out / name for name in (PROVENANCE, *files)}
    for path in sorted(out.rglob("*")):
        if path.is_file() and path not in known and path.suffix != PARTIAL:
            raise RunError(
                f"{path} is no part of the figure: {PROVENANCE} does not answer for it. {NOT_USED} If it is of a run "
                "that was finished since, give `tiedlm reproduce figure1` again; else move it elsewhere."
            )


def _check_training(path: Path, training: TheoryConfig) -> None:
    told = read_json(path)
    point = {"temperature": training.temperature, "beta": training.beta}
    try:
        changed = differing(from_json(TheoryConfig, told | point if isinstance(told, dict) else told), training)
        words = "; ".join(f"{name} is {own!r}, now {today!r}" for name, (own, today) in changed.items())
    except ConfigError as error:
        words = str(error).rstrip(".")
    if words:
        raise RunError(f"{path} is of another training than Figure 1's as it is now: {words}. {NOT_USED} {_AGAIN}")


_AGAIN = "Restore it, or give `tiedlm reproduce figure1` again, which makes the folder of the runs' records."


def _environments(records: Records) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for record in records.values():
        told = {name: value for name, value in record["environment"].items() if name != "started_unix"}
        if told not in found:
            found.append(told)
    return found


def _points(records: Records, wanted: Sequence[int]) -> dict[str, Any]:
    words = {str(run): record["outcome"]["words"] for (_, run), record in records.items()}
    return {
        "format": POINTS_FORMAT,
        "units": next(iter(records.values()))["config"]["units"],
        "words_by_run": words,
        "runs": list(wanted),
        "panels": {name: [_entry(point, records) for point in panel] for name, panel in panels().items()},
    }


def _entry(point: Setting, records: Records) -> dict[str, Any]:
    outcomes = {str(run): record["outcome"] for (one, run), record in records.items() if one == point}
    entry: dict[str, Any] = {"tau": point.tau, "beta": point.beta}
    entry["distances"] = {run: outcome["distance"] for run, outcome in outcomes.items()}
    for table in ("vectors", "classifier"):
        for figure in TABLES:
            entry[f"{table}_{figure}"] = {run: outcome[table][figure] for run, outcome in outcomes.items()}
    for figure in BESIDE:
        entry[figure] = {run: outcome[figure] for run, outcome in outcomes.items()}
    return entry


def _name(point: Setting, run: int) -> str:
    return record_path(Path(), point, run).as_posix()


def _as_list(numbers: Sequence[int]) -> str:
    """Return numbers as `--seeds` reads them."""
    whole = len(numbers) > 1 and list(numbers) == list(range(numbers[0], numbers[-1] + 1))
    return f"{numbers[0]}-{numbers[-1]}" if whole else ",".join(map(str, numbers))
