"""Published corpora as text files on this machine: found in the data folder or downloaded there, and always checked.

Pooch downloads aside, compares the sha256 and renames, so a text is whole or absent. A download ends, whatever the
server sends: after `MAX_SECONDS` or `MAX_BYTES` it is given up.
"""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from tiedlm import files
from tiedlm.data.sources import Source, SourceFile
from tiedlm.data.text import check_file, text_sha256
from tiedlm.errors import CorpusError
from tiedlm.files import DATA_VARIABLE

TIMEOUT_SECONDS = 30
"""Longest silence of the server."""
MAX_SECONDS = 600
"""Longest download: 5 MB at 70 kbit/s."""
MAX_BYTES = 64_000_000
"""Largest download, six times the largest published text."""


def find_or_fetch(source: Source, data_dir: Path, progress: Callable[[str], None]) -> dict[str, Path]:
    """Return the text file of each split of a published corpus, equal to the published one to the byte.

    Args:
        source: which corpus.
        data_dir: the data folder: each file is looked for under its `names` there, and downloaded to the first of them.
        progress: called with one line when a download begins.

    Raises:
        CorpusError: a file with another content, a failed download, or a folder that cannot be written.
    """
    candidates = {split: [data_dir / name for name in file.names] for split, file in source.files.items()}
    texts = {split: next((path for path in paths if path.exists()), paths[0]) for split, paths in candidates.items()}
    missing = {split: path for split, path in texts.items() if not path.exists()}
    if missing:
        progress(f"Downloading {source.title} to {data_dir / source.name}. {source.licence}")
        _fetch(source, missing, data_dir)
    for split, path in texts.items():
        _check_text(source, source.files[split], path)
    return texts


def _check_text(source: Source, file: SourceFile, path: Path) -> None:
    size = check_file(path)
    if size != file.size_bytes or text_sha256(path) != file.sha256:
        raise CorpusError(
            f"{path} ({size:,} bytes) is not the published text of {source.name}, which has {file.size_bytes:,} bytes "
            f"and the sha256 {file.sha256}. Put the published file there, or move this one away to have it downloaded; "
            "for a text of your own use --corpus.name text."
        )


def _fetch(source: Source, missing: dict[str, Path], data_dir: Path) -> None:
    import requests
    import urllib3

    names = ", ".join(file.names[0] for file in source.files.values())
    hint = f"Or put {names} into a folder and pass it with --data-dir or {DATA_VARIABLE}."
    url = next(iter(source.files.values())).url
    try:
        if source.archive_sha256 is None:
            for split, path in missing.items():
                url = source.files[split].url
                _retrieve(url, source.files[split].sha256, path)
            return
        # a name that no file of the user's has
        archive = data_dir / source.name / (url.rsplit("/", 1)[-1] + files.PARTIAL)
        _retrieve(url, source.archive_sha256, archive)
        with zipfile.ZipFile(archive) as members:
            for split, path in missing.items():
                files.write_bytes(path, members.read(str(source.files[split].member)))
        archive.unlink()
    except (requests.RequestException, urllib3.exceptions.HTTPError, TimeoutError) as error:
        raise CorpusError(f"The download of {url} failed: {_reason(error)}. Try again later. {hint}") from error
    except ValueError as error:  # of pooch
        raise CorpusError(f"{url} no longer has the published content (its sha256 differs). {hint}") from error
    except OSError as error:
        raise CorpusError(f"{data_dir / source.name} cannot be written: {error.strerror or error}. {hint}") from error


def _retrieve(url: str, sha256: str, path: Path) -> None:
    import pooch

    pooch.get_logger().setLevel("WARNING")
    # pooch's annotation of a downloader is that of its processors
    pooch.retrieve(url, f"sha256:{sha256}", path.name, path.parent, downloader=_transfer)  # pyright: ignore[reportArgumentType]
    path.chmod(0o644)  # pooch's temporary file is its owner's alone, but a data folder may be shared


def _transfer(url: str, target: str, pooch: object) -> None:
    """Write what `url` serves to `target`; pooch's own downloader has no limit on time or size."""
    import requests

    stop = time.monotonic() + MAX_SECONDS
    headers = {"User-Agent": "tiedlm", "Accept-Encoding": "identity"}  # some hosts refuse the default of HTTP libraries
    with requests.get(url, headers=headers, timeout=TIMEOUT_SECONDS, stream=True) as response:
        response.raise_for_status()
        with open(target, "wb") as file:
            while block := response.raw.read1(1 << 16):  # what there is: `read` waits for the whole block
                file.write(block)
                if time.monotonic() > stop or file.tell() > MAX_BYTES:
                    raise TimeoutError(f"it was not complete after {MAX_SECONDS} seconds or {MAX_BYTES:,} bytes")


def _reason(error: Exception) -> str:
    import requests
    import urllib3

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, TimeoutError):
        return str(error)
    if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError)):
        return f"no answer within {TIMEOUT_SECONDS} seconds"
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return "it was cut before its end"
    return "the server cannot be reached, or there is no network"
