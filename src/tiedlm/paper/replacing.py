"""What stands already where a run is to be published: another result, this one, or this one without its analysis."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tiedlm.errors import RunError
from tiedlm.paper.collect import stages
from tiedlm.paper.layout import ANALYSIS, FIRST_TRAINING, PROVENANCE
from tiedlm.paper.result import read_result

OF_THE_ANALYSIS = ("version", "files", "checksum")
"""Fields of a provenance that an analysis changes."""


def differing(target: Path, contents: Mapping[str, bytes]) -> list[str]:
    """Return the names of files that differ between a published result and `contents`, or are in one of them only."""
    there = _files(target)
    return [name for name in sorted({*there, *contents}) if there.get(name) != contents.get(name)]


def check_free(target: Path, unmeasured: Mapping[str, bytes]) -> None:
    """Refuse to put a run in the place of another one; a first training that it holds is no other one.

    Args:
        target: the folder of the result.
        unmeasured: what is to be published, without analyses: they are made anew, or taken from what stands there.

    Raises:
        RunError: `target` holds another result, or files that are no part of one.
    """
    there = {name: content for name, content in _files(target).items() if Path(name).name != ANALYSIS}
    prefix = f"{FIRST_TRAINING}/"
    first = {name.removeprefix(prefix): content for name, content in unmeasured.items() if name.startswith(prefix)}
    other = _other(there, unmeasured)
    if there and other and _other(there, first):
        raise RunError(
            f"{target} holds another result already ({', '.join(other)} differ). Nothing was changed. Give --replace "
            "to put this one in its place, or another folder with --results."
        )


def analyses_of(target: Path, *, even_damaged: bool) -> dict[str, bytes]:
    """Return the analyses in a published result: sha256 of the weights → content of `analysis.json`.

    Args:
        target: the folder of the result; one that is not there has none.
        even_damaged: of a result that is damaged none are used; otherwise it is an error.

    Raises:
        RunError: the result is damaged, edited or of a newer version.
    """
    if not target.exists():
        return {}
    try:
        found = list(stages(read_result(target)))
    except RunError:
        if even_damaged:
            return {}
        raise
    measured = [stage for stage in found if stage.analysis is not None]
    return {stage.provenance["weights_sha256"]: (stage.path / ANALYSIS).read_bytes() for stage in measured}


def _files(target: Path) -> dict[str, bytes]:
    paths = [path for path in target.rglob("*") if path.is_file()]
    return {path.relative_to(target).as_posix(): path.read_bytes() for path in paths}


def _other(there: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> list[str]:
    names = sorted({*there, *wanted})
    return [name for name in names if _comparable(name, there) != _comparable(name, wanted)]


def _comparable(name: str, contents: Mapping[str, bytes]) -> Any:
    """Return a file's content, of a provenance without what an analysis changes; None where it is missing."""
    content = contents.get(name)
    if content is None or Path(name).name != PROVENANCE:
        return content
    try:
        told = json.loads(content)
        return {field: value for field, value in told.items() if field not in OF_THE_ANALYSIS}
    except (ValueError, AttributeError):
        return content
