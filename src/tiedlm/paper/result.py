"""Reading a published result: whole and unedited, or an error that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from tiedlm.errors import RunError
from tiedlm.files import read_json, sha256
from tiedlm.paper.consistency import check_result
from tiedlm.paper.fields import OF_PROVENANCE, check_fields
from tiedlm.paper.layout import (
    ANALYSIS,
    FIRST_TRAINING,
    FORMAT,
    METRICS,
    NOT_USED,
    PROVENANCE,
    VERSION,
    WITHOUT_ANALYSIS,
    Result,
    answered_for,
    checksum,
)

RESTORE = f"{NOT_USED} Restore the folder, or publish its run again with --replace."


def read_result(folder: Path) -> Result:
    """Return the published result in `folder`, every file's sha256 compared and the scores held against themselves.

    Raises:
        RunError: the folder is missing, damaged, edited, incomplete or of a newer version.
    """
    provenance = _read_provenance(folder / PROVENANCE)
    _check_files(folder, provenance)
    first = read_result(folder / FIRST_TRAINING) if provenance["trainings"] > 1 else None
    config, environment, scores = (read_json(folder / f"{name}.json") for name in ("config", "environment", "scores"))
    result = Result(
        path=folder,
        config=config,
        environment=environment,
        metrics=_read_metrics(folder / METRICS),
        scores=scores,
        provenance=provenance,
        first_training=first,
        analysis=None if provenance["version"] == WITHOUT_ANALYSIS else read_json(folder / ANALYSIS),
    )
    check_result(result)
    return result


def _read_provenance(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise RunError(
            f"{path.parent} is not a published result: it has no {path.name}. `tiedlm publish RUN` makes one."
        )
    provenance = read_json(path)
    if not isinstance(provenance, dict) or provenance.get("format") != FORMAT:
        raise RunError(f"{path} belongs to another program, or is damaged: its format should be {FORMAT!r}. {RESTORE}")
    version = provenance.get("version")
    if isinstance(version, int) and version > VERSION:
        raise RunError(
            f"{path} is of version {version}, but this tiedlm reads versions up to {VERSION}. Install a newer tiedlm."
        )
    if version not in (WITHOUT_ANALYSIS, VERSION) or provenance.get("checksum") != checksum(provenance):
        _raise_damaged(path, "it does not agree with its own checksum")
    check_fields(provenance, OF_PROVENANCE, path)
    return provenance


def _check_files(folder: Path, provenance: dict[str, Any]) -> None:
    names = answered_for(provenance["trainings"], provenance["version"])
    for name in names:
        path, expected = folder / name, provenance["files"].get(name)
        if expected is None:
            _raise_damaged(folder / PROVENANCE, f"it does not answer for {name}")
        if not path.is_file():
            raise RunError(f"{path} is missing. {RESTORE}")
        if (found := sha256(path)) != expected:
            _raise_damaged(path, f"its sha256 should be {expected}, but is {found}")
    known = {PROVENANCE, *(Path(name).parts[0] for name in names)}
    for path in sorted(folder.iterdir()):
        if path.name not in known:
            raise RunError(f"{path} is no part of a result. Move it elsewhere.")


def _read_metrics(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_bytes().splitlines()]
    except ValueError as error:
        _raise_damaged(path, f"a line is not readable as JSON ({error})")


def _raise_damaged(path: Path, how: str) -> NoReturn:
    raise RunError(f"{path} is damaged or was edited: {how}. {RESTORE}")
