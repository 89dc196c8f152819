"""How a run folder comes to be, whole, and how one step of saving is written. Imports no torch."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from tiedlm.checkpoint.lock import RunLock
from tiedlm.checkpoint.manifest import Entry, Manifest
from tiedlm.checkpoint.roles import JOURNAL_NAME, MANIFEST_NAME, file_name
from tiedlm.errors import RunError
from tiedlm.files import flush, write_bytes


def store(folder: Path, before: Manifest | None, contents: Mapping[str, bytes], journal: Entry) -> Manifest:
    """Write the new files, then the manifest that refers to them."""
    number = 0 if before is None else before.commit + 1
    files = {} if before is None else dict(before.files)
    for role, content in contents.items():
        files[role] = Entry.of(file_name(role, number), content)
        write_bytes(folder / files[role].name, content)
    manifest = Manifest(commit=number, files=files, journal=journal)
    write_bytes(folder / MANIFEST_NAME, manifest.to_bytes())
    return manifest


def check_free(path: Path) -> None:
    """Raise a RunError unless `path` is absent or an empty folder that another can take the place of."""
    if path.is_dir():
        if os.path.ismount(path):  # Path.is_mount in Python 3.11 takes a link to another disk for a mount point
            raise RunError(f"{path} is a mount point, which cannot become a run folder: name a folder inside it.")
        if not any(path.iterdir()):
            return
        holder = RunLock(path).holder()
        if holder is not None:
            raise RunError(f"{path} is being trained by {holder}. Wait until it has ended, or give another folder.")
        way = "Resume the run in it" if (path / MANIFEST_NAME).exists() else "It is not a run: empty it"
        raise RunError(f"{path} exists already and is not empty. {way}, or give another folder.")
    if path.exists() or path.is_symlink():
        raise RunError(f"{path} exists already and is not a folder. Give another folder.")


def build_aside(path: Path, contents: Mapping[str, bytes], journal: bytes) -> Manifest:
    """Write a whole run folder beside `path`, then rename it to `path`."""
    aside = beside(path)
    aside.mkdir()
    try:
        write_bytes(aside / JOURNAL_NAME, journal)
        manifest = store(aside, None, contents, Entry.of(JOURNAL_NAME, journal))
        try:
            os.replace(aside, path)
        except OSError:
            check_free(path)  # another process has just made a run there
            raise
        flush(path.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return manifest


def beside(path: Path, what: str = "partial") -> Path:
    """Return a name beside `path` that nothing has yet."""
    return path.with_name(f"{path.name}.{what}-{uuid.uuid4().hex}")


def is_partial(path: Path) -> bool:
    """Return whether a folder is one that `beside` names while it is made; no other folder has such a name."""
    return re.search(r"\.partial-[0-9a-f]{32}$", path.name) is not None and path.is_dir() and not path.is_symlink()


def remove_partial_folders(path: Path) -> None:
    """Delete what killed processes left of making this very folder."""
    for folder in path.parent.iterdir():
        if folder.name.startswith(f"{path.name}.partial-") and is_partial(folder):
            shutil.rmtree(folder, ignore_errors=True)
