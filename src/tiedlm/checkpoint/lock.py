"""One writer at a time: a lock that the kernel takes back when its process dies, however it dies. Imports no torch."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import final

from filelock import FileLock, Timeout

from tiedlm.errors import RunError

LOCK_NAME = ".lock"
OWNER_NAME = ".lock-owner"


@final
class RunLock:
    """The lock of a run folder. May be held several times over by one object; a second object is refused."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owner = folder / OWNER_NAME
        self._lock = FileLock(folder / LOCK_NAME)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock inside the block.

        Raises:
            RunError: another process, or another object of this one, holds it, or the folder cannot be written to.
        """
        self._acquire()
        try:
            yield
        finally:
            self._lock.release()

    def _acquire(self) -> None:
        outermost = not self._lock.is_locked
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise RunError(
                f"{self._folder} is in use by {self._owner_in_words()}. Wait until it has ended, or stop it, "
                "and try again."
            ) from error
        except OSError as error:
            raise RunError(
                f"{self._folder} cannot be locked for writing: {error.strerror or error}. "
                "Check that you may write there."
            ) from error
        if outermost:
            with suppress(OSError):  # the name of the holder is a courtesy; a full disk shall not prevent the lock
                self._owner.write_text(f"process {os.getpid()} on {socket.gethostname()}")

    def _owner_in_words(self) -> str:
        try:
            return self._owner.read_text() or "another process"
        except (OSError, UnicodeDecodeError):
            return "another process"
