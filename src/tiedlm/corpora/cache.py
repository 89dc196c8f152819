"""Folders that can be made again: made aside, renamed when finished, compared with their checksums when opened.

Beside its files a cache folder holds `record.json`, with the size and sha256 of each, what its maker said of them, and
a sha256 of all that. A folder that is damaged is made anew, with a note. A lock beside it lets several processes ask
for it at once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from tiedlm import files
from tiedlm.errors import CorpusError, RunError
from tiedlm.locations import CACHE_VARIABLE

RECORD = "record.json"
RECORD_VERSION = 1


def cached(folder: Path, make: Callable[[Path], dict[str, Any]], damaged: Callable[[str], None]) -> dict[str, Any]:
    """Return what `make` said when it made `folder`, after making it where it is missing or damaged.

    Args:
        folder: the cache folder.
        make: writes files into the empty folder it is given, and returns plain JSON values about them.
        damaged: is told what was damaged.

    Raises:
        CorpusError: the folder cannot be written; and whatever `make` raises.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            if folder.exists():
                try:
                    return _checked(folder)
                except (CorpusError, RunError) as error:
                    damaged(f"{folder} is damaged and is made anew: {error}")
            _make(folder, make)
            return _checked(folder)
    except OSError as error:
        raise CorpusError(
            f"The folder {folder} cannot be made or read: {error.strerror or error}. "
            f"Make room there, or set {CACHE_VARIABLE} to another folder."
        ) from error


def _make(folder: Path, make: Callable[[Path], dict[str, Any]]) -> None:
    partial = folder.with_name(folder.name + files.PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)  # left by a killed process, since the lock is ours
    partial.mkdir()
    try:
        made = make(partial)
        paths = sorted(partial.iterdir())
        listed = {path.name: {"bytes": path.stat().st_size, "sha256": files.sha256(path)} for path in paths}
        for path in paths:
            files.flush(path)
        record = {"version": RECORD_VERSION, "made": made, "files": listed}
        files.write_json(partial / RECORD, {**record, "sha256": files.json_sha256(record)})
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(partial, folder)
        files.flush(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _checked(folder: Path) -> dict[str, Any]:
    record = files.read_json(folder / RECORD)
    if not isinstance(record, dict) or record.get("version") != RECORD_VERSION:
        raise CorpusError(f"{RECORD} is not of version {RECORD_VERSION}.")
    if record.pop("sha256", None) != files.json_sha256(record):
        raise CorpusError(f"{RECORD} has another sha256 than when it was written.")
    for name, expected in record["files"].items():
        path = folder / name
        if not path.is_file():
            raise CorpusError(f"{name} is missing.")
        if (size := path.stat().st_size) != expected["bytes"]:
            raise CorpusError(f"{name} has {size:,} bytes instead of {expected['bytes']:,}.")
        if files.sha256(path) != expected["sha256"]:
            raise CorpusError(f"{name} has another sha256 than when it was written.")
    return record["made"]
