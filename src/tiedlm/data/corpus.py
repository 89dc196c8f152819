"""A config → a corpus that is ready to train on: found, downloaded or built, then encoded, in a cache that is checked.

The cache folder `encoded/<key>/` holds `train.npy`, `valid.npy`, `test.npy` and `vocabulary.json`; the key is a hash of
the three texts' sha256, the vocabulary's size and `ENCODING_VERSION`. Beside its files a cache folder holds
`record.json`, with the size and sha256 of each, and what was counted in them.
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from filelock import FileLock

from tiedlm import files
from tiedlm.data.sources import HALVES, SPLITS, CorpusConfig, Source, source_of
from tiedlm.data.text import Vocabulary, count_words, text_sha256, write_ids
from tiedlm.errors import ConfigError, CorpusError, RunError

if TYPE_CHECKING:
    import requests

__all__ = ["Corpus", "Split", "prepare"]

ENCODING_VERSION = 1
RECORD = "record.json"
RECORD_VERSION = 1
TIMEOUT_SECONDS = 30
"""Longest silence of a server that a text is downloaded from."""
MAX_SECONDS, MAX_BYTES = 600, 64_000_000
"""Of one download, whatever the server sends."""
Progress = Callable[[str], None]

_logger = logging.getLogger(__name__)


@final
@dataclass(frozen=True)
class Split:
    """One split of a corpus."""

    ids: np.ndarray[Any, Any]
    """All words in order, `<eos>` after each line [words]; uint16 or uint32, memory-mapped, read-only."""
    words: int
    unknown: int
    """Words that are `<unk>`: written so in the text, or outside the vocabulary."""
    lines: int
    """Blank ones included."""


@final
@dataclass(frozen=True)
class Corpus:
    """A vocabulary, three splits in its ids, and where they come from."""

    name: str
    vocabulary: Vocabulary
    """The words of the training text; for a half of WikiText-2, of the whole one."""
    splits: dict[str, Split]
    texts: dict[str, Path]
    """The text file of each split; for a half, the whole one's."""
    provenance: dict[str, Any]
    """Plain JSON values: the texts' sha256 and counts, the rules' versions, the licence."""


def prepare(
    config: CorpusConfig,
    *,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
) -> Corpus:
    """Return the corpus of a config: its text found or made, its ids from the cache or made.

    `ptb` and `wikitext-2` are looked for in the data folder under the names in `sources`, else downloaded there;
    `builtin` and `synthetic` are built once in the cache folder. Words that the vocabulary lacks become `<unk>`; the
    provenance says how many there are. That of a half has the whole training text's sha256 and the half's own counts.

    Args:
        config: which corpus.
        data_dir: by default `files.data_dir()`.
        cache_dir: by default `files.cache_dir()`.
        progress: called with a line at each step that takes time and for damaged files that are made again; by default
            these lines are logged, the latter as warnings.

    Raises:
        CorpusError: a text that is missing, not as published, or unusable; a download that failed; no room.
        ConfigError: a data folder for a corpus that has no use for one.
    """
    cache = cache_dir or files.cache_dir()
    on_damage = progress or _logger.warning
    progress = progress or _logger.info
    source = source_of(config.name)
    if source is not None:
        if data_dir is not None and not data_dir.is_dir():
            raise CorpusError(f"The data folder {data_dir} does not exist. Check the path, or make the folder first.")
        texts = find_or_fetch(source, data_dir or files.data_dir(), progress)
        origin = {"title": source.title, "licence": source.licence}
    elif data_dir is not None:
        raise ConfigError(
            f"--data-dir has no effect on the corpus {config.name!r}, which needs no data folder. Leave it out."
        )
    elif config.name == "text":
        texts, origin = {split: files.expanded(getattr(config, split)) for split in SPLITS}, {}
    else:
        texts, origin = _build(config.name, cache, progress, on_damage)

    hashes = {split: text_sha256(texts[split]) for split in SPLITS}
    key = files.json_sha256([ENCODING_VERSION, hashes, config.vocabulary_size])
    folder = cache / "encoded" / key[:32]
    vocabulary, splits = _encode(texts, hashes, config.vocabulary_size, folder, progress, on_damage)
    if half := HALVES.get(config.name):
        ids = splits["train"].ids[half.start : half.stop]  # a view
        unknown = int(np.count_nonzero(ids == vocabulary.unknown_id))
        splits["train"] = Split(ids, words=len(ids), unknown=unknown, lines=half.lines)
    provenance = {
        "name": config.name,
        "encoding_version": ENCODING_VERSION,
        "vocabulary": {"size": len(vocabulary), "sha256": vocabulary.sha256},
        "splits": {
            name: {"text_sha256": hashes[name], "lines": part.lines, "words": part.words, "unknown": part.unknown}
            for name, part in splits.items()
        },
        "origin": origin,
    }
    return Corpus(config.name, vocabulary, splits, texts, provenance)


def find_or_fetch(source: Source, data_dir: Path, progress: Progress) -> dict[str, Path]:
    """Return the text file of each split of a published corpus, equal to the published one to the byte.

    Raises:
        CorpusError: a file with another content, a failed download, or a folder that cannot be written.
    """
    candidates = {split: [data_dir / name for name in file.names] for split, file in source.files.items()}
    texts = {split: next((path for path in paths if path.exists()), paths[0]) for split, paths in candidates.items()}
    missing = {split: path for split, path in texts.items() if not path.exists()}
    if missing:
        progress(f"Downloading {source.title} to {data_dir / source.name}. {source.licence}")
        _download(source, missing, data_dir)
    for split, path in texts.items():
        file = source.files[split]
        if text_sha256(path) != file.sha256:
            raise CorpusError(
                f"{path} ({path.stat().st_size:,} bytes) is not the published text of {source.name}, which has "
                f"{file.size_bytes:,} bytes and the sha256 {file.sha256}. Put the published file there, or move this "
                "one away to have it downloaded; for a text of your own use --corpus.name text."
            )
    return texts


def _download(source: Source, missing: dict[str, Path], data_dir: Path) -> None:
    import requests

    names = ", ".join(file.names[0] for file in source.files.values())
    hint = f"Or put {names} into a folder and pass it with --data-dir or {files.DATA_VARIABLE}."
    url = source.files["train"].url
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
    except (requests.RequestException, TimeoutError) as error:
        if isinstance(error, requests.HTTPError) and error.response is not None:
            reason = f"the server answers {error.response.status_code} {error.response.reason}"
        elif isinstance(error, requests.Timeout):
            reason = f"no answer within {TIMEOUT_SECONDS} seconds"
        elif isinstance(error, requests.exceptions.ChunkedEncodingError):
            reason = "it was cut before its end"
        elif isinstance(error, TimeoutError):
            reason = f"it was not complete after {MAX_SECONDS} seconds or {MAX_BYTES:,} bytes"
        else:
            reason = "the server cannot be reached, or there is no network"
        raise CorpusError(f"The download of {url} failed: {reason}. Try again later. {hint}") from error
    except ValueError as error:  # of pooch
        raise CorpusError(f"{url} no longer has the published content (its sha256 differs). {hint}") from error
    except OSError as error:
        raise CorpusError(f"{data_dir / source.name} cannot be written: {error.strerror or error}. {hint}") from error


class _Bounded:
    """Pooch's protocol of a progress bar, which is told of each part of a download: ends one without an end."""

    total: int
    response: requests.Response | None = None

    def __init__(self) -> None:
        self.bytes, self.stop = 0, time.monotonic() + MAX_SECONDS

    def opened(self, response: requests.Response, **_: object) -> None:
        self.response = response

    def update(self, count: int) -> None:
        self.bytes += count
        if self.bytes > MAX_BYTES or time.monotonic() > self.stop:
            raise TimeoutError

    def reset(self) -> None:
        self.bytes = 0

    def close(self) -> None:
        if self.response is not None:
            self.response.close()  # pooch leaves it open where a download fails


def _retrieve(url: str, sha256: str, path: Path) -> None:
    """Download `url` to `path`: pooch writes aside, compares the sha256 and renames, so a file is whole or absent."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    bounded = _Bounded()  # pooch's annotations of a progress bar and of a downloader are too narrow
    downloader = pooch.HTTPDownloader(
        bounded,  # pyright: ignore[reportArgumentType]
        chunk_size=256,
        timeout=TIMEOUT_SECONDS,
        headers={"User-Agent": "tiedlm"},  # some hosts refuse the default name of HTTP libraries
        hooks={"response": bounded.opened},
    )
    try:
        pooch.retrieve(url, f"sha256:{sha256}", path.name, path.parent, downloader=downloader)  # pyright: ignore[reportArgumentType]
    finally:
        bounded.close()
    path.chmod(0o644)  # pooch's temporary file is its owner's alone, but a data folder may be shared


def _build(name: str, cache: Path, progress: Progress, on_damage: Progress) -> tuple[dict[str, Path], dict[str, Any]]:
    from tiedlm.data import builtin, synthetic  # here, since hardly any training needs them

    module = {"builtin": builtin, "synthetic": synthetic}[name]
    python = f"-python{platform.python_version()}" if name == "builtin" else ""  # its text is of that Python
    folder = cache / f"{name}-v{module.RULE_VERSION}{python}"

    def build(target: Path) -> dict[str, Any]:
        progress(f"Building the corpus {name} in {folder}")
        return module.build(target)

    origin = cached_dir(folder, build, on_damage)
    return {split: folder / f"{split}.txt" for split in SPLITS}, origin


def _encode(
    texts: dict[str, Path],
    hashes: dict[str, str],
    vocabulary_size: int | None,
    folder: Path,
    progress: Progress,
    on_damage: Progress,
) -> tuple[Vocabulary, dict[str, Split]]:

    def build(target: Path) -> dict[str, Any]:
        progress(f"Counting the words of {texts['train']}")
        vocabulary = count_words(texts["train"], vocabulary_size)
        files.write_json(target / "vocabulary.json", vocabulary.to_json())
        counts = {}
        for split in SPLITS:
            progress(f"Encoding {texts[split]}")
            counts[split] = write_ids(texts[split], vocabulary, target / f"{split}.npy")
        for split in SPLITS:  # else these ids would be found under the sha256 of another text
            if text_sha256(texts[split]) != hashes[split]:
                raise CorpusError(f"The text {texts[split]} changed while it was read. Try again when it is finished.")
        return counts

    counts = cached_dir(folder, build, on_damage)
    vocabulary = Vocabulary.from_json(files.read_json(folder / "vocabulary.json"))
    return vocabulary, {
        split: Split(np.load(folder / f"{split}.npy", mmap_mode="r", allow_pickle=False), **counts[split])
        for split in SPLITS
    }


def cached_dir(folder: Path, build: Callable[[Path], dict[str, Any]], on_damage: Progress) -> dict[str, Any]:
    """Return what `build` returned when it made `folder`, after calling it if the folder is missing or damaged.

    `build` writes files into an empty folder and returns plain JSON values about them. That folder is renamed when it
    is finished, under a lock, so that several processes can ask at once. `on_damage` takes a line about the damage.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            if folder.exists():
                try:
                    return _check_record(folder)
                except (CorpusError, RunError) as error:
                    on_damage(f"{folder} is damaged and is made again: {error}")
            partial = folder.with_name(folder.name + files.PARTIAL)
            shutil.rmtree(partial, ignore_errors=True)  # left by a killed process, since the lock is ours
            partial.mkdir()
            try:
                _write_record(partial, build(partial))
                shutil.rmtree(folder, ignore_errors=True)
                os.rename(partial, folder)
                files.flush(folder.parent)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
            return _check_record(folder)
    except OSError as error:
        raise CorpusError(
            f"The folder {folder} cannot be made or read: {error.strerror or error}. "
            f"Make room there, or set {files.CACHE_VARIABLE} to another folder."
        ) from error


def _write_record(folder: Path, values: dict[str, Any]) -> None:
    listed = {}
    for path in sorted(folder.iterdir()):
        files.flush(path)
        listed[path.name] = {"bytes": path.stat().st_size, "sha256": files.sha256(path)}
    files.write_json(folder / RECORD, {"version": RECORD_VERSION, "made": values, "files": listed})


def _check_record(folder: Path) -> dict[str, Any]:
    if not (folder / RECORD).is_file():
        raise CorpusError(f"{RECORD} is missing.")
    record = files.read_json(folder / RECORD)
    if not isinstance(record, dict) or record.get("version") != RECORD_VERSION:
        raise CorpusError(f"{RECORD} is not of version {RECORD_VERSION}.")
    for name, expected in record["files"].items():
        path = folder / name
        if not path.is_file():
            raise CorpusError(f"{name} is missing.")
        if files.sha256(path) != expected["sha256"]:
            raise CorpusError(f"{name} has another sha256 than when it was written.")
    return record["made"]
