"""An address → a file that was checked: downloaded aside with progress, compared with its sha256, renamed.

Pooch does the transfer. A download that was cut leaves nothing behind and starts from its beginning the next time.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, final

from tiedlm import files
from tiedlm.errors import CorpusError

TIMEOUT_SECONDS = 30


def download(address: str, sha256: str, target: Path, progress: Callable[[str], None], hint: str = "") -> None:
    """Download `address` to `target`, which is published only if its sha256 is the given one.

    Args:
        address: what to download, by HTTP or HTTPS.
        sha256: 64 hexadecimal digits that the content must have.
        target: the file to write.
        progress: is told, a line each, how far it is.
        hint: put at the end of every error: how to do without the download.

    Raises:
        CorpusError: no network, an address that does not answer, a cut download, another content, no room.
    """
    import pooch
    import requests

    downloader = pooch.HTTPDownloader(
        progressbar=_Meter(address, progress),  # pyright: ignore[reportArgumentType]
        chunk_size=1 << 16,
        timeout=TIMEOUT_SECONDS,
        headers={"User-Agent": "tiedlm"},  # some hosts refuse the default of HTTP libraries
    )
    try:
        with files.published(target) as partial:
            downloader(address, str(partial), None)
            if (found := files.sha256(partial)) != sha256:
                raise CorpusError(
                    f"{address} now gives another content than the published one (sha256 {found}, expected {sha256}), "
                    f"so it was thrown away.{hint}"
                )
    except requests.RequestException as error:
        raise CorpusError(f"The download of {address} failed: {_reason(error)}. Try again later.{hint}") from error
    except OSError as error:
        raise CorpusError(f"{target} cannot be written: {error.strerror or error}.{hint}") from error


def extract(archive: Path, member: str, sha256: str, target: Path, hint: str = "") -> None:
    """Copy one member of a zip archive to `target`, which is published only if its sha256 is the given one."""
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(member) as source, files.published(target) as partial:
            _copy(source, partial)
            if (found := files.sha256(partial)) != sha256:
                raise CorpusError(f"{member} in {archive} has the sha256 {found}, expected {sha256}.{hint}")
    except (KeyError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise CorpusError(f"{archive} is damaged or lacks {member}.{hint}") from error
    except OSError as error:
        reason = error.strerror or error
        raise CorpusError(f"{target} cannot be written from {archive}: {reason}.{hint}") from error


def _copy(source: IO[bytes], target: Path) -> None:
    with target.open("wb") as file:
        while chunk := source.read(1 << 20):
            file.write(chunk)


def _reason(error: Exception) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        response.close()  # Pooch leaves it open
        return f"the server answers {response.status_code} {response.reason}"
    text = str(error)
    if "IncompleteRead" in text or "Connection broken" in text:
        return "it was cut before its end"
    if "timed out" in text.lower():
        return f"no answer within {TIMEOUT_SECONDS} seconds"
    return "the server cannot be reached, or there is no network"


@final
class _Meter:
    """What Pooch calls a progress bar: tells `progress` of every tenth of the download."""

    def __init__(self, address: str, progress: Callable[[str], None]) -> None:
        self.total = 0  # set by Pooch from Content-Length, where the server sends one
        self._address = address
        self._progress = progress
        self._done = 0
        self._told = 0

    def update(self, size: int) -> None:
        """Count `size` more bytes."""
        self._done += size
        tenth = 10 * self._done // self.total if self.total else self._done // 10_000_000
        if tenth > self._told:
            self._told = tenth
            done, of = self._done / 1e6, f" of {self.total / 1e6:.1f}" if self.total else ""
            self._progress(f"Downloading {self._address}: {done:.1f}{of} MB")

    def reset(self) -> None:
        """Start from zero, as Pooch asks at the end before it counts the whole."""
        self._done = 0

    def close(self) -> None:
        """Nothing is open."""
