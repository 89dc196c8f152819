"""Files that are either whole or absent, and the folders where data, caches and runs live.

A file is written under a temporary name, flushed to the disk and renamed. A process killed at any instant leaves the
old file or the new one, and perhaps a `*.partial` file that nobody reads.

| folder | variable | without it |
|---|---|---|
| corpora as text | `TIEDLM_DATA_DIR` | `data` under the user's cache folder for tiedlm |
| encoded corpora | `TIEDLM_CACHE_DIR` | the user's cache folder for tiedlm |
| run folders | `TIEDLM_RUNS_DIR` | `runs` under the current folder |
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import re
import shutil
import stat
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from tiedlm.errors import RunError

PARTIAL = ".partial"
DATA_VARIABLE = "TIEDLM_DATA_DIR"
CACHE_VARIABLE = "TIEDLM_CACHE_DIR"
RUNS_VARIABLE = "TIEDLM_RUNS_DIR"


def cache_dir() -> Path:
    from platformdirs import user_cache_path

    return _from_environment(CACHE_VARIABLE) or user_cache_path("tiedlm")


def data_dir() -> Path:
    return _from_environment(DATA_VARIABLE) or cache_dir() / "data"


def runs_dir() -> Path:
    return _from_environment(RUNS_VARIABLE) or Path("runs")


def run_dir(recipe: str, seed: int, *, second: bool = False) -> Path:
    """Return the run folder of a training for which none is named; `second`: of a second training."""
    return runs_dir() / f"{recipe}-seed-{seed}{'-second' if second else ''}"


def expanded(path: str) -> Path:
    """Return a path with `~` or `~somebody` at its start as a home folder; where nobody is called so, it stays."""
    return Path(os.path.expanduser(path))  # Path.expanduser raises a RuntimeError there


def _from_environment(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return expanded(value) if value else None


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, flush it and rename it to `path`.

    Its name has the system's number of the thread, which no other thread of any process has at the same time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{threading.get_native_id()}{PARTIAL}")
    try:
        yield partial
        flush(partial)
        os.replace(partial, path)
        flush(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def disk_errors_as_run_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` of the block, such as a full disk, into a `RunError` that names `path`."""
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{path} could not be saved: {error.strerror or error}. What was saved there before is whole. "
            "Free some space, or check that you may write there, and go on."
        ) from error


def temp_sibling(path: Path) -> Path:
    """Return a name beside `path` that nothing has yet, for a folder while it is made."""
    return path.with_name(f"{path.name}{PARTIAL}-{uuid.uuid4().hex}")


def is_temp(path: Path) -> bool:
    """Return whether a file or folder has a name of those that are written to first; nobody reads them."""
    return re.search(rf"{PARTIAL}(-[0-9a-f]{{32}})?$", path.name) is not None


def remove_partial_folders(path: Path) -> None:
    """Delete what killed processes left of making this folder."""
    for folder in path.parent.iterdir():
        if folder.name.startswith(f"{path.name}{PARTIAL}-") and is_temp(folder):
            shutil.rmtree(folder, ignore_errors=True)  # leaves files and links


def flush(path: Path) -> None:
    """Ask the system to put a file's content, or a folder's entries, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    with atomic_write(path) as partial:
        partial.unlink(missing_ok=True)  # whatever has this name, nothing is written through it
        with open_regular(partial, "xb") as file:
            file.write(content)


def open_regular(path: Path, mode: str) -> BinaryIO:
    """Open a regular file in a binary mode, as files in a folder from a stranger have to be opened.

    No link is followed (or written through, where it is a hard link), no pipe waited for: each is an OSError.
    """
    return open(path, mode, opener=_open_regular)  # pyright: ignore[reportReturnType] - the mode is binary


def _open_regular(path: str, flags: int) -> int:
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENXIO):  # a link; a pipe or a socket
            raise OSError(error.errno, "it is not a regular file", path) from error
        raise
    status = os.fstat(descriptor)
    writes = flags & (os.O_WRONLY | os.O_RDWR)
    if stat.S_ISREG(status.st_mode) and not (writes and status.st_nlink > 1):
        return descriptor
    os.close(descriptor)
    reason = "it has a second name (a hard link)" if stat.S_ISREG(status.st_mode) else "it is not a regular file"
    raise OSError(errno.EINVAL, reason, path)


def json_bytes(value: Any, *, sort_keys: bool = True) -> bytes:
    """Return `value` as indented JSON in UTF-8 (not-a-number and infinity are refused)."""
    text = json.dumps(value, indent=2, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False) + "\n"
    # what UTF-8 lacks, half a surrogate pair out of a file name that is not UTF-8, is written as JSON's own escape
    return text.encode(errors="backslashreplace")


def write_json(path: Path, value: Any) -> None:
    write_bytes(path, json_bytes(value))


def read_json(path: Path) -> Any:
    """Return the JSON value in `path`; a missing or damaged file is a `RunError` that names it."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing. Check the folder's name, or make it anew.") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path} is not readable as JSON ({error}): the file is damaged or was edited.") from error


def json_sha256(value: Any) -> str:
    """Return the sha256 of a JSON value, the same in whatever order its keys are."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace_dir(target: Path, contents: Mapping[str, bytes]) -> None:
    """Make the folder `target` of `contents`, name → content, so that a killed process leaves the old or the new one.

    The files are written to a folder beside it, which then changes names with the old one in one call of the system
    (`renameat2` on Linux). Where there is no such call, the old folder is moved aside first.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_partial_folders(target)
    aside = temp_sibling(target)
    try:
        for name, content in contents.items():
            write_bytes(aside / name, content)
        if not target.exists():
            os.replace(aside, target)
        elif not _exchange(aside, target):
            old = temp_sibling(target)
            os.replace(target, old)
            os.replace(aside, target)
            shutil.rmtree(old, ignore_errors=True)
        flush(target.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two folders in one step; return whether the system could."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return rename is not None and rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0
