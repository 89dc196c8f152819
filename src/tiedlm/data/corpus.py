"""A config → a corpus that is ready to train on: found, downloaded or built, then encoded, in a cache that is checked.

The cache folder `encoded/<key>/` holds `train.npy`, `valid.npy`, `test.npy` and `vocabulary.json`; the key is a hash of
the three texts' sha256, the vocabulary's size and `ENCODING_VERSION`. Beside its files a cache folder holds
`record.json`, with the size and sha256 of each, what was counted in them, and a sha256 of all that.
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from filelock import FileLock

from tiedlm import files
from tiedlm.data import builtin, synthetic
from tiedlm.data.download import find_or_fetch
from tiedlm.data.sources import HALVES, SPLITS, CorpusConfig, Source, source_of
from tiedlm.data.text import Vocabulary, count_words, text_sha256, write_ids
from tiedlm.errors import ConfigError, CorpusError, RunError

__all__ = ["Corpus", "Split", "prepare"]

ENCODING_VERSION = 1
RECORD = "record.json"
RECORD_VERSION = 1
Progress = Callable[[str], None]

_logger = logging.getLogger(__name__)


@final
@dataclass(frozen=True)
class Split:
    """One split of a corpus as ids, and what was counted in it."""

    ids: np.ndarray[Any, Any]
    """All words in order, `<eos>` after each line [words]; uint16 or uint32, memory-mapped, read-only."""
    words: int
    """Words of the text and one `<eos>` a line."""
    unknown: int
    """Of them `<unk>`: written so in the text, or outside the vocabulary."""
    lines: int
    """Lines of the text, blank ones included."""


@final
@dataclass(frozen=True)
class Corpus:
    """A vocabulary, three splits in its ids, and where they come from."""

    name: str
    """The config's name."""
    vocabulary: Vocabulary
    """The words of the training text, and no others; for a half of WikiText-2, those of the whole training text."""
    splits: dict[str, Split]
    """`train`, `valid` and `test`."""
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

    `ptb` and `wikitext-2` are looked for in the data folder under the names in `sources`, else downloaded there, and
    count exactly as published. The provenance of a half has the whole training text's sha256 and the half's own counts.
    `builtin` and `synthetic` are built once in the cache folder. Words of `valid` and `test` that the vocabulary lacks
    become `<unk>`; the provenance says how many there are.

    Args:
        config: which corpus.
        data_dir: the data folder; by default `files.data_dir()`.
        cache_dir: the cache folder; by default `files.cache_dir()`.
        progress: called with one line at each step that takes time, and for damaged files that are made again; by
            default these lines are logged, the latter as warnings.

    Raises:
        CorpusError: a text that is missing, not as published, or unusable; a download that failed; no room.
        ConfigError: a data folder for a corpus that has no use for one.
    """
    cache = cache_dir or files.cache_dir()
    tell, on_damage = progress or _logger.info, progress or _logger.warning
    source = source_of(config.name)
    if source is not None:
        if data_dir is not None and not data_dir.is_dir():
            raise CorpusError(f"The data folder {data_dir} does not exist. Check the path, or make the folder first.")
        texts = find_or_fetch(source, data_dir or files.data_dir(), tell)
        origin = {"title": source.title, "licence": source.licence}
    elif data_dir is not None:
        raise ConfigError(
            f"--data-dir has no effect on the corpus {config.name!r}, which needs no data folder. Leave it out."
        )
    elif config.name == "text":
        texts, origin = {split: files.expanded(getattr(config, split)) for split in SPLITS}, {}
    else:
        texts, origin = _build(config.name, cache, tell, on_damage)

    hashes = {split: text_sha256(texts[split]) for split in SPLITS}
    key = files.json_sha256([ENCODING_VERSION, hashes, config.vocabulary_size])
    vocabulary, splits = _encode(texts, hashes, config.vocabulary_size, cache / "encoded" / key[:32], tell, on_damage)
    if source is not None:
        _check_counts(source, splits, None if config.vocabulary_size else len(vocabulary))
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


def _build(name: str, cache: Path, tell: Progress, on_damage: Progress) -> tuple[dict[str, Path], dict[str, Any]]:
    """Return the texts and the provenance of a corpus that the module of its name builds."""
    module = {"builtin": builtin, "synthetic": synthetic}[name]
    python = f"-python{platform.python_version()}" if name == "builtin" else ""  # its text is of that Python
    folder = cache / f"{name}-v{module.RULE_VERSION}{python}"

    def build(target: Path) -> dict[str, Any]:
        tell(f"Building the corpus {name} in {folder}")
        return module.build(target)

    origin = cached_dir(folder, build, on_damage)
    return {split: folder / f"{split}.txt" for split in SPLITS}, origin


def _encode(
    texts: dict[str, Path],
    hashes: dict[str, str],
    vocabulary_size: int | None,
    folder: Path,
    tell: Progress,
    on_damage: Progress,
) -> tuple[Vocabulary, dict[str, Split]]:
    """Return the vocabulary of the training text and the splits in its ids, kept in `folder`."""

    def build(target: Path) -> dict[str, Any]:
        tell(f"Counting the words of {texts['train']}")
        vocabulary = count_words(texts["train"], vocabulary_size)
        files.write_json(target / "vocabulary.json", vocabulary.to_json())
        counts = {}
        for split in SPLITS:
            tell(f"Encoding {texts[split]}")
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


def _check_counts(source: Source, splits: dict[str, Split], vocab_size: int | None) -> None:
    """Raise a CorpusError unless lines, words and, where given, distinct words are the published ones."""
    for name, file in source.files.items():
        split = splits[name]
        if (split.lines, split.words) != (file.lines, file.scored_words):
            raise CorpusError(
                f"The {name} text of {source.name} counts {split.lines:,} lines and {split.words:,} words with "
                f"`<eos>`, but {file.lines:,} and {file.scored_words:,} are published. Please report this."
            )
    if vocab_size not in (None, source.vocab_size):
        raise CorpusError(
            f"{source.name} has {vocab_size:,} distinct words, but {source.vocab_size:,} are published. "
            "Please report this."
        )


def cached_dir(folder: Path, build: Callable[[Path], dict[str, Any]], on_damage: Progress) -> dict[str, Any]:
    """Return what `build` returned when it made `folder`, after calling it if the folder is missing or damaged.

    A folder is built aside and renamed when it is finished, under a lock, so that several processes can ask at once.

    Args:
        folder: the cache folder.
        build: writes files into the empty folder that it is called with, and returns plain JSON values about them.
        on_damage: called with a line about what is damaged.

    Raises:
        CorpusError: the folder cannot be written; and whatever `build` raises.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            if folder.exists():
                try:
                    return _check_record(folder)
                except (CorpusError, RunError) as error:
                    on_damage(f"{folder} is damaged and is made again: {error}")
            _build_aside(folder, build)
            return _check_record(folder)
    except OSError as error:
        raise CorpusError(
            f"The folder {folder} cannot be made or read: {error.strerror or error}. "
            f"Make room there, or set {files.CACHE_VARIABLE} to another folder."
        ) from error


def _build_aside(folder: Path, build: Callable[[Path], dict[str, Any]]) -> None:
    partial = folder.with_name(folder.name + files.PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)  # left by a killed process, since the lock is ours
    partial.mkdir()
    try:
        made = build(partial)
        paths = sorted(partial.iterdir())
        listed = {path.name: {"bytes": path.stat().st_size, "sha256": files.sha256(path)} for path in paths}
        for path in paths:
            files.flush(path)
        record = {"version": RECORD_VERSION, "made": made, "files": listed}
        files.write_json(partial / RECORD, {**record, "sha256": files.json_sha256(record)})
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(partial, folder)
        files.flush(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_record(folder: Path) -> dict[str, Any]:
    if not (folder / RECORD).is_file():
        raise CorpusError(f"{RECORD} is missing.")
    record = files.read_json(folder / RECORD)
    if not isinstance(record, dict) or record.get("version") != RECORD_VERSION:
        raise CorpusError(f"{RECORD} is not of version {RECORD_VERSION}.")
    if record.pop("sha256", None) != files.json_sha256(record):
        raise CorpusError(f"{RECORD} has another sha256 than when it was written.")
    for name, expected in record["files"].items():
        path = folder / name
        if not path.is_file():
            raise CorpusError(f"{name} is missing.")
        if (size := path.stat().st_size) != expected["bytes"]:
            raise CorpusError(f"{name} has {size:,} bytes instead of {expected['bytes']:,}.")
        if files.sha256(path) != expected["sha256"]:
            raise CorpusError(f"{name} has another sha256 than when it was written.")
    return record["made"]
