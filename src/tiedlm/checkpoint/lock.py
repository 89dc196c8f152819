"""One writer at a time: a lock that the kernel takes back when its process dies, however it dies. Imports no torch."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, final

from tiedlm.errors import RunError
from tiedlm.files import open_regular

LOCK_NAME = ".lock"
TRIES = 10
"""In half a second: whoever only looks who holds the lock holds it for an instant."""


@final
class RunLock:
    """The lock of a run folder. May be held several times over by one object; a second object is refused.

    The file `.lock` holds the process and the host of its last holder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / LOCK_NAME
        self._holds = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock inside the block.

        Raises:
            RunError: another process, or another object of this one, holds it, or the folder cannot be written to.
        """
        if self._holds == 0:
            self._file = self._acquired()
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            if self._holds == 0:
                self._file.close()

    def holder(self) -> str | None:
        """Return which process holds the lock, as `process N on HOST`, or None where none does."""
        with suppress(OSError), open_regular(self._path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                name = file.read(300).decode(errors="replace")
                return name if re.fullmatch(r"process \d+ on [\w.-]+", name) else "another process"
        return None

    def _acquired(self) -> BinaryIO:
        try:
            file = open_regular(self._path, "ab")
            try:
                self._lock(file)
            except BaseException:
                file.close()
                raise
        except OSError as error:
            raise RunError(
                f"{self._folder} cannot be locked for writing: {error.strerror or error}. "
                "Check that you may write there."
            ) from error
        with suppress(OSError):  # the name of the holder is a courtesy; a full disk shall not prevent the lock
            os.ftruncate(file.fileno(), 0)
            os.write(file.fileno(), f"process {os.getpid()} on {socket.gethostname()}".encode())
        return file

    def _lock(self, file: BinaryIO) -> None:
        for left in reversed(range(TRIES)):
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if left == 0:
                    raise RunError(
                        f"{self._folder} is in use by {self.holder() or 'another process'}. Wait until it has ended, "
                        "or stop it, and try again."
                    ) from error
            time.sleep(0.05)
        return None
