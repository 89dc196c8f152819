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
from tiedlm.files import open_regular


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
            with open_regular(self.path, "rb") as file:
                before = os.fstat(file.fileno()).st_size
            try:
                with open_regular(self.path, "ab") as file:
                    file.write(line)
            except OSError:
                self._truncate(before)
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
            self._truncate(self.committed.bytes)

    def records(self) -> list[dict[str, Any]]:
        """Return the records that count, oldest first.

        Raises:
            RunError: the lines that count are not those that were committed.
        """
        try:
            return [json.loads(line) for line in self._read_committed().splitlines()]
        except (ValueError, RecursionError) as error:
            raise RunError(f"{self.path} is damaged: a line is not readable as JSON ({error}). {RESTORE}") from error

    def flushed_entry(self) -> Entry:
        """Put the whole journal on the disk and return its entry for the manifest."""
        with open_regular(self.path, "rb") as file:
            os.fsync(file.fileno())
            return Entry.of(self.path.name, file.read())

    def _truncate(self, length: int) -> None:
        with open_regular(self.path, "r+b") as file:
            file.truncate(length)
            os.fsync(file.fileno())

    def _read_committed(self) -> bytes:
        try:
            return self.committed.read(self.path.parent, longer=True)
        except FileNotFoundError as error:
            raise RunError(f"{self.path} is missing. {RESTORE}") from error


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
