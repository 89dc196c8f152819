"""A config → a corpus that is ready to train on: found or downloaded or built, checked, encoded."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, final

from tiedlm import files, locations
from tiedlm.corpora.cache import cached
from tiedlm.corpora.config import CorpusConfig
from tiedlm.corpora.download import Progress, download, extract
from tiedlm.corpora.encode import ENCODING_VERSION, SPLITS, Encoded, Split, encode
from tiedlm.corpora.sources import SOURCES, Source, SourceFile
from tiedlm.corpora.vocabulary import Vocabulary
from tiedlm.errors import CorpusError

__all__ = ["Corpus", "Split", "prepare"]

_logger = logging.getLogger(__name__)


@final
@dataclass(frozen=True)
class Corpus:
    """A vocabulary, three splits in its ids, and where they come from."""

    name: str
    """The config's name."""
    vocabulary: Vocabulary
    """The words of the training text, and no others."""
    splits: dict[str, Split]
    """`train`, `valid` and `test`."""
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
    count exactly as published. `builtin` and `synthetic` are built once in the cache folder. Words of `valid` and
    `test` that the vocabulary lacks become `<unk>`; the provenance says how many there are.

    Args:
        config: which corpus.
        data_dir: the data folder; by default `locations.data_dir()`.
        cache_dir: the cache folder; by default `locations.cache_dir()`.
        progress: is told, a line each, what takes time and what was damaged; by default the log is (as warnings only
            what was damaged).

    Raises:
        CorpusError: a text that is missing, not as published, or unusable; a download that failed; no room.
    """
    cache = cache_dir or locations.cache_dir()
    tell, damaged = progress or _logger.info, progress or _logger.warning
    if config.name in SOURCES:
        source = SOURCES[config.name]
        texts, origin = _published(source, data_dir or locations.data_dir(), tell)
    elif config.name == "text":
        texts, origin = {split: Path(getattr(config, split)).expanduser() for split in SPLITS}, {}
    else:
        texts, origin = _built(config.name, cache, tell, damaged)
    encoded = encode(texts, config.vocabulary_size, cache, tell, damaged)
    if config.name in SOURCES:
        _check_counts(SOURCES[config.name], encoded, whole_vocabulary=config.vocabulary_size is None)
    return Corpus(config.name, encoded.vocabulary, encoded.splits, _provenance(config, encoded, origin))


def _provenance(config: CorpusConfig, encoded: Encoded, origin: dict[str, Any]) -> dict[str, Any]:
    splits = {
        name: {
            "text_sha256": encoded.text_sha256[name],
            "lines": split.lines,
            "words": split.words,
            "unknown": split.unknown,
        }
        for name, split in encoded.splits.items()
    }
    return {
        "name": config.name,
        "encoding_version": ENCODING_VERSION,
        "vocabulary": {"size": len(encoded.vocabulary), "sha256": encoded.vocabulary.sha256},
        "splits": splits,
        "origin": origin,
    }


def _published(source: Source, data: Path, tell: Progress) -> tuple[dict[str, Path], dict[str, Any]]:
    found = {split: _find(data, file) for split, file in source.files.items()}
    if not all(found.values()):
        _fetch(source, {split: file for split, file in source.files.items() if found[split] is None}, data, tell)
    texts = {split: found[split] or data / file.names[0] for split, file in source.files.items()}
    for split, path in texts.items():
        _check_text(source, source.files[split], path)
    return texts, {"title": source.title, "licence": source.licence}


def _find(data: Path, file: SourceFile) -> Path | None:
    return next((data / name for name in file.names if (data / name).is_file()), None)


def _check_text(source: Source, file: SourceFile, path: Path) -> None:
    try:
        size, found = path.stat().st_size, files.sha256(path)
    except OSError as error:
        raise CorpusError(f"The text {path} cannot be read: {error.strerror or error}.") from error
    if found != file.sha256:
        raise CorpusError(
            f"{path} is not the published text of {source.name}: it has {size:,} bytes and the sha256 {found}, but "
            f"must have {file.bytes:,} bytes and {file.sha256}. Put the published file there, or move this one away to "
            "have it downloaded; for a text of your own use --corpus.name text."
        )


def _fetch(source: Source, missing: dict[str, SourceFile], data: Path, tell: Progress) -> None:
    names = ", ".join(file.names[0] for file in source.files.values())
    hint = f" Or put {names} into a folder and name it with --data-dir or {locations.DATA_VARIABLE}."
    tell(f"Downloading {source.title} to {data / source.name}. {source.licence}")
    if source.archive_sha256 is None:
        for file in missing.values():
            download(file.address, file.sha256, data / file.names[0], tell, hint)
        return
    address = next(iter(missing.values())).address
    archive = data / source.name / address.rsplit("/", 1)[-1]
    if not archive.is_file() or files.sha256(archive) != source.archive_sha256:
        download(address, source.archive_sha256, archive, tell, hint)
    for file in missing.values():
        extract(archive, file.member or "", file.sha256, data / file.names[0], hint)
    archive.unlink()


def _check_counts(source: Source, encoded: Encoded, *, whole_vocabulary: bool) -> None:
    for name, file in source.files.items():
        split = encoded.splits[name]
        if (split.lines, split.words) != (file.lines, file.words_and_ends):
            raise CorpusError(
                f"The {name} text of {source.name} counts {split.lines:,} lines and {split.words:,} words with "
                f"`<eos>`, but {file.lines:,} and {file.words_and_ends:,} are published. Please report this."
            )
    if whole_vocabulary and len(encoded.vocabulary) != source.types:
        raise CorpusError(
            f"{source.name} has {len(encoded.vocabulary):,} distinct words, but {source.types:,} are published. "
            "Please report this."
        )


def _built(name: str, cache: Path, tell: Progress, damaged: Progress) -> tuple[dict[str, Path], dict[str, Any]]:
    """Return the texts of a corpus that the module of its name builds, from the cache where they are whole there.

    The module has `RULE_VERSION` and `build(folder)`, which writes `train.txt`, `valid.txt` and `test.txt` into a
    folder and returns its provenance.
    """
    module = import_module(f"tiedlm.corpora.{name}")
    build: Callable[[Path], dict[str, Any]] = module.build
    python = f"-python{platform.python_version()}" if name == "builtin" else ""  # its texts differ by Python version
    folder = cache / f"{name}-v{module.RULE_VERSION}{python}"
    texts = {split: folder / f"{split}.txt" for split in SPLITS}

    def make(target: Path) -> dict[str, Any]:
        tell(f"Building the corpus {name} in {folder}")
        return build(target)

    origin = cached(folder, make, damaged)
    return texts, origin
