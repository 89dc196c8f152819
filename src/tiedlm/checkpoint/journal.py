"""The journal of a run: one JSON object a line, only ever appended to. Imports no torch.

The manifest says how many bytes of it count. Lines after them are news of work that was not saved; a run that resumes
does that work again, so it first cuts them off (`Journal.rewind`), and no line stands there twice.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, final

from tiedlm.checkpoint.manifest import RESTORE, Entry
from tiedlm.checkpoint.saving import saving
from tiedlm.errors import ArgumentError, RunError
from tiedlm.files import flush


@final
class Journal:
    """The file `journal.jsonl` of a run folder. Write to it under the folder's lock only."""

    def __init__(self, path: Path, committed: Entry) -> None:
        self.path = path
        self.committed = committed

    def append(self, record: dict[str, Any]) -> None:
        """Write `record` as one line and hand it to the system; the next commit makes it count.

        Raises:
            ArgumentError: `record` is not JSON (not-a-number and infinity are not).
            RunError: the disk is full or fails; the line is then taken back.
        """
        line = to_line(record)
        with saving(self.path):
            before = self.path.stat().st_size
            try:
                _append(self.path, line)
            except OSError:
                os.truncate(self.path, before)
                raise

    def check(self) -> None:
        """Raise a RunError unless the lines that count are those that were committed."""
        self._read_committed()

    def rewind(self) -> None:
        """Cut off the lines that no commit has counted.

        Raises:
            RunError: the lines that count are not those that were committed.
        """
        self._read_committed()
        with saving(self.path):
            os.truncate(self.path, self.committed.bytes)
            flush(self.path)

    def records(self) -> list[dict[str, Any]]:
        """Return the records that count, oldest first.

        Raises:
            RunError: the lines that count are not those that were committed.
        """
        try:
            return [json.loads(line) for line in self._read_committed().splitlines()]
        except ValueError as error:
            raise RunError(f"{self.path} is damaged: a line is not readable as JSON ({error}). {RESTORE}") from error

    def flushed_entry(self) -> Entry:
        """Put the whole journal on the disk and return its entry for the manifest."""
        flush(self.path)
        return Entry.of(self.path.name, self.path.read_bytes())

    def _read_committed(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                content = file.read(self.committed.bytes)
        except OSError as error:
            raise RunError(f"{self.path} cannot be read: {error.strerror}. {RESTORE}") from error
        self.committed.check(content, self.path)
        return content


def to_line(record: dict[str, Any]) -> bytes:
    """Return the line of a record.

    Raises:
        ArgumentError: it is not JSON (not-a-number and infinity are not).
    """
    try:
        # json escapes line ends, and U+2028 is escaped too because of ensure_ascii: a record is always one line
        return (json.dumps(record, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"A record of the journal must be JSON, but {record!r} is not ({error}): write a number that is not "
            "finite as a text or None."
        ) from error


def _append(path: Path, line: bytes) -> None:
    with path.open("ab") as file:
        file.write(line)
