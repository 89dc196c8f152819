"""The manifest: which file plays which role, and how to tell that it is whole. Imports no torch.

The manifest is the truth about a run folder, and replacing it is the instant of a save. It is only believed when it is,
byte for byte, what `Manifest.to_bytes` writes, checksum included.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from tiedlm.checkpoint.roles import JOURNAL_NAME, MANIFEST_NAME, ROLES, is_name_of
from tiedlm.config import from_json, to_json
from tiedlm.errors import ConfigError, RunError, suggestion
from tiedlm.files import open_regular

FORMAT = "tiedlm-run"
VERSION = 1
MAX_BYTES = 2**20

RESTORE = "Nothing of it was used. Restore the run folder from a copy, or train it anew into another folder."


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file of the run folder, and what makes it recognisable."""

    name: str
    """Name of the file in the folder."""
    bytes: int
    """Length of the content; of the journal, the length that counts."""
    sha256: str
    """sha256 of that content, as 64 hexadecimal digits."""

    @classmethod
    def of(cls, name: str, content: bytes) -> Entry:
        """Return the entry of a file `name` that holds `content`."""
        return cls(name=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())

    def read(self, folder: Path, *, longer: bool = False) -> bytes:
        """Return the content of the file in `folder`, which is what the entry says; its size is compared first.

        Args:
            folder: the run folder.
            longer: whether the file may go on behind what the entry says.

        Raises:
            FileNotFoundError: there is none.
            RunError: it is another one, is not a regular file, or cannot be read.
        """
        path = folder / self.name
        try:
            with open_regular(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size < self.bytes or (size > self.bytes and not longer):
                    raise RunError(
                        f"{path} is damaged or was edited: {self.bytes} bytes were saved, but {size} are there. "
                        f"{RESTORE}"
                    )
                content = file.read(self.bytes)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error.strerror}. {RESTORE}") from error
        now = Entry.of(self.name, content)
        if now != self:
            difference = f"its sha256 should be {self.sha256}, but is {now.sha256}"
            raise RunError(f"{path} is damaged or was edited: {difference}. {RESTORE}")
        return content


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The state of a run folder after one commit."""

    commit: int
    """Number of this commit; the one that made the folder is 0."""
    files: Mapping[str, Entry]
    """The file of each role."""
    journal: Entry
    """The journal, up to the length that counts."""

    def to_bytes(self) -> bytes:
        """Return the content of `manifest.json`."""
        body = {
            "format": FORMAT,
            "version": VERSION,
            "commit": self.commit,
            "files": {role: to_json(entry) for role, entry in self.files.items()},
            "journal": to_json(self.journal),
        }
        return _to_text(body | {"checksum": hashlib.sha256(_to_text(body)).hexdigest()})

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Return the manifest of the run folder `folder`.

        Raises:
            RunError: the folder is missing, is no run folder, or its manifest is damaged or of a newer version.
        """
        path = folder / MANIFEST_NAME
        try:
            with open_regular(path, "rb") as file:
                content = file.read(MAX_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            _raise_no_run(folder)
        except OSError as error:
            raise RunError(f"{path} cannot be read: {error.strerror}. Check that you may read this folder.") from error
        return cls.from_bytes(content, path)

    @classmethod
    def from_bytes(cls, content: bytes, path: Path) -> Manifest:
        """Return the manifest whose `to_bytes` gave `content`, which was found at `path`."""
        if len(content) > MAX_BYTES:
            raise RunError(f"{path} is damaged: no manifest has more than {MAX_BYTES:,} bytes. {RESTORE}")
        try:
            value = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise RunError(f"{path} is damaged: it is not readable as JSON ({error}). {RESTORE}") from error
        _check_format(value, path)
        try:
            manifest = _from_value(value)
        except (ConfigError, KeyError, TypeError, AttributeError) as error:
            raise RunError(f"{path} is damaged: its fields are not those of a manifest ({error}). {RESTORE}") from error
        if manifest.to_bytes() != content:
            raise RunError(f"{path} is damaged or was edited: it does not agree with its own checksum. {RESTORE}")
        return manifest


def _to_text(value: Any) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True) + "\n").encode()


def _check_format(value: Any, path: Path) -> None:
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise RunError(
            f"{path} belongs to another program, or is damaged: its format should be {FORMAT!r}. "
            "Give the folder of a run that `tiedlm train` made."
        )
    version = value.get("version")
    if isinstance(version, int) and version > VERSION:
        raise RunError(
            f"{path} is of version {version}, but this tiedlm reads versions up to {VERSION}. "
            "Install a newer tiedlm to open this run."
        )
    if version != VERSION:
        raise RunError(f"{path} is damaged: its version should be {VERSION}, but is {version!r}. {RESTORE}")


def _from_value(value: dict[str, Any]) -> Manifest:
    files = {role: from_json(Entry, entry, f"files.{role}") for role, entry in value["files"].items()}
    journal = from_json(Entry, value["journal"], "journal")
    for role, entry in files.items():
        if role not in ROLES or not is_name_of(role, entry.name):
            raise ConfigError(f"no file {entry.name!r} can play the role {role!r}")
    if journal.name != JOURNAL_NAME or not isinstance(value["commit"], int):
        raise ConfigError("the journal or the number of the commit is not one that is ever written")
    return Manifest(commit=value["commit"], files=files, journal=journal)


def _raise_no_run(folder: Path) -> NoReturn:
    if folder.is_dir():
        raise RunError(
            f"{folder} is not a run folder: it has no {MANIFEST_NAME}. "
            "Give the folder of a run that `tiedlm train` made."
        )
    if folder.exists():
        raise RunError(f"{folder} is a file, not a run folder. Give the folder of a run that `tiedlm train` made.")
    others = [path.parent.name for path in folder.parent.glob(f"*/{MANIFEST_NAME}")]
    raise RunError(
        f"There is no run folder {folder}.{suggestion(folder.name, others)} "
        "Check the name, or make the run with `tiedlm train`."
    )
