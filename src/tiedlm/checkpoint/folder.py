"""A run folder: made whole, saved in single steps, read with every checksum compared. Imports no torch by itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from tiedlm.checkpoint.journal import Journal, to_line
from tiedlm.checkpoint.lock import RunLock
from tiedlm.checkpoint.making import build_aside, check_free, remove_partial_folders, store
from tiedlm.checkpoint.manifest import RESTORE, Entry, Manifest
from tiedlm.checkpoint.roles import FIXED, JOURNAL_NAME, check_role, may_be_leftover
from tiedlm.checkpoint.saving import saving
from tiedlm.errors import ArgumentError, RunError

if TYPE_CHECKING:
    from torch import Tensor


@final
class RunFolder:
    """The folder of one run, as the last commit before `create`, `open` or `lock` left it; the first two make one."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path = path
        self.journal = Journal(path / JOURNAL_NAME, manifest.journal)
        self._manifest = manifest
        self._lock = RunLock(path)

    @classmethod
    def create(
        cls, path: Path | str, contents: Mapping[str, bytes], records: Iterable[dict[str, Any]] = ()
    ) -> RunFolder:
        """Make the run folder `path` with one file for each role of `contents`, and a journal of `records`.

        The folder appears with all of its files or not at all.

        Raises:
            ArgumentError: an unknown role, or a record that is not JSON.
            RunError: `path` exists and is not an empty folder, or is a mount point, or the disk is full or fails.
        """
        path = Path(os.path.abspath(path))
        if path.is_dir():  # a folder can be put in an empty folder's place, but not in that of a link to one
            path = path.resolve()
        for role in contents:
            check_role(role)
        journal = b"".join(to_line(record) for record in records)
        with saving(path):
            check_free(path)
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_partial_folders(path)
            manifest = build_aside(path, contents, journal)
        return cls(path, manifest)

    @classmethod
    def open(cls, path: Path | str) -> RunFolder:
        """Return the run folder that exists at `path`.

        Raises:
            RunError: it is missing, no run folder, damaged, or of a newer version.
        """
        path = Path(os.path.abspath(path))
        return cls(path, Manifest.read(path))

    def holder(self) -> str | None:
        """Return which process writes to the folder now, as `process N on HOST`, or None where none does."""
        return self._lock.holder()

    def has(self, role: str) -> bool:
        """Return whether a file plays `role`."""
        check_role(role)
        return role in self._manifest.files

    def read(self, role: str) -> bytes:
        """Return the content of the file that plays `role`, once its length and sha256 are those that were saved.

        Raises:
            RunError: no file plays the role, or the file is missing or damaged.
        """
        while True:
            entry = self._entry(role)
            try:
                return entry.read(self.path)
            except FileNotFoundError as error:
                if not self._has_moved_on():  # a commit since we read the manifest may have replaced the file
                    raise RunError(f"{self.path / entry.name} is missing. {RESTORE}") from error

    def sha256(self, role: str) -> str:
        """Return the sha256 of the file that plays `role`; straight after a `read`, of what that has returned.

        Raises:
            RunError: no file plays the role.
        """
        return self._entry(role).sha256

    def read_json(self, role: str) -> Any:
        """Return the JSON value of the file that plays `role`; raises as `read` does."""
        content = self.read(role)
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise RunError(f"The {role} of {self.path} is not JSON ({error}). {RESTORE}") from error

    def read_tensors(self, role: str) -> dict[str, Tensor]:
        """Return the tensors, on the CPU, of the file that plays `role`; raises as `read` does."""
        from tiedlm.checkpoint.tensors import bytes_to_tensors  # here, so that reading JSON does not load torch

        content = self.read(role)
        try:
            return bytes_to_tensors(content)
        except ArgumentError as error:
            raise RunError(f"The {role} of {self.path} are not readable as tensors: {error} {RESTORE}") from error

    def check_whole(self) -> None:
        """Compare every file with the manifest, the journal as far as it counts.

        Raises:
            RunError: a file is missing or damaged.
        """
        for role in self._manifest.files:
            self.read(role)
        self.journal.check()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer inside the block, and see what the last writer saved. May be nested.

        Raises:
            RunError: another process is writing to the folder ("is in use by process …").
        """
        with self._lock.held():
            self._adopt(Manifest.read(self.path))
            yield

    def commit(self, contents: Mapping[str, bytes], journal: Journal | None = None) -> None:
        """Replace the files of the roles in `contents` and, with `journal`, count its lines: all of it or nothing.

        Args:
            contents: role to new content; roles that are left out keep their file.
            journal: the folder's own `journal`, to count what was appended to it.

        Raises:
            ArgumentError: an unknown role, one that is written only once, or another folder's journal.
            RunError: the folder is in use by another process, or the disk is full or fails; the state before stays.
        """
        self._check_commit(contents, journal)
        with self.lock(), saving(self.path):
            try:
                committed = self.journal.committed if journal is None else journal.flushed_entry()
                self._adopt(store(self.path, self._manifest, contents, committed))
            finally:
                self._sweep()

    def _check_commit(self, contents: Mapping[str, bytes], journal: Journal | None) -> None:
        for role in contents:
            check_role(role)
            if role in FIXED:
                raise ArgumentError(
                    f"The role {role!r} is written once, when the run folder is made; it cannot change."
                )
        if journal is not None and journal is not self.journal:
            raise ArgumentError(f"{journal.path} is not the journal of this folder object: give `folder.journal`.")

    def _entry(self, role: str) -> Entry:
        if self.has(role):
            return self._manifest.files[role]
        raise RunError(f"{self.path} has no {role} yet. Resume its training until it has saved some.")

    def _adopt(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self.journal.committed = manifest.journal

    def _has_moved_on(self) -> bool:
        before = self._manifest.commit
        self._adopt(Manifest.read(self.path))
        return self._manifest.commit != before

    def _sweep(self) -> None:
        """Delete what no manifest refers to. What cannot be deleted now is left to the next save."""
        with suppress(OSError, RunError):
            used = {entry.name for entry in Manifest.read(self.path).files.values()}
            for path in self.path.iterdir():
                if may_be_leftover(path.name) and path.name not in used:
                    path.unlink(missing_ok=True)
