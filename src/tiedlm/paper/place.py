"""A folder of files that appears whole or not at all, in the place of another one if there is one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tiedlm.checkpoint.making import beside, remove_partial_folders
from tiedlm.checkpoint.saving import saving
from tiedlm.files import flush, write_bytes


def place(target: Path, contents: Mapping[str, bytes]) -> None:
    """Make the folder `target` of the files `contents`; one that stands there goes once the new one is whole.

    The files are written into a folder beside it, flushed, and the folder is renamed. A folder cannot replace another
    in one step, so the old one is renamed first; a process killed in that instant leaves it as `<name>.replaced-...`.

    Args:
        target: the folder.
        contents: relative name → content of each file.

    Raises:
        RunError: the disk is full or fails; the folder that stood there before stands there still.
    """
    with saving(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_partial_folders(target)
        aside = beside(target)
        try:
            for name, content in contents.items():
                write_bytes(aside / name, content)
            _exchange(aside, target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def _exchange(aside: Path, target: Path) -> None:
    replaced = beside(target, "replaced") if target.exists() else None
    if replaced is not None:
        os.replace(target, replaced)
    try:
        os.replace(aside, target)
    except OSError:
        if replaced is not None:
            os.replace(replaced, target)
        raise
    flush(target.parent)
    if replaced is not None:
        shutil.rmtree(replaced, ignore_errors=True)
