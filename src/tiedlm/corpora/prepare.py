"""A config → a corpus that is ready to train on: found or downloaded or built, checked, encoded."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from tiedlm import locations
from tiedlm.corpora.cache import cached
from tiedlm.corpora.config import CorpusConfig
from tiedlm.corpora.download import find_or_fetch
from tiedlm.corpora.encode import ENCODING_VERSION, SPLITS, Encoded, Split, encode
from tiedlm.corpora.parts import PARTS, Part, source_of
from tiedlm.corpora.sources import Source
from tiedlm.corpora.vocabulary import Vocabulary
from tiedlm.errors import ConfigError, CorpusError

__all__ = ["Corpus", "Split", "prepare"]

_logger = logging.getLogger(__name__)


@final
@dataclass(frozen=True)
class Corpus:
    """A vocabulary, three splits in its ids, and where they come from."""

    name: str
    """The config's name."""
    vocabulary: Vocabulary
    """The words of the training text, and no others; for a part of a corpus, the words of the whole one's."""
    splits: dict[str, Split]
    """`train`, `valid` and `test`."""
    texts: dict[str, Path]
    """The text file of each split; of a part of a corpus, the whole one's."""
    provenance: dict[str, Any]
    """Plain JSON values: the texts' sha256 and counts, the rules' versions, the licence."""


def prepare(
    config: CorpusConfig,
    *,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Corpus:
    """Return the corpus of a config: its text found or made, its ids from the cache or made.

    `ptb` and `wikitext-2` are looked for in the data folder under the names in `sources`, else downloaded there, and
    count exactly as published; of a part (see `parts`) the provenance has the whole training text's sha256 and the
    part's own counts. `builtin` and `synthetic` are built once in the cache folder. Words of `valid` and
    `test` that the vocabulary lacks become `<unk>`; the provenance says how many there are.

    Args:
        config: which corpus.
        data_dir: the data folder; by default `locations.data_dir()`.
        cache_dir: the cache folder; by default `locations.cache_dir()`.
        progress: is told, a line each, what takes time and what was damaged; by default the log is (as warnings only
            what was damaged).

    Raises:
        CorpusError: a text that is missing, not as published, or unusable; a download that failed; no room.
        ConfigError: a data folder for a corpus that has no use for one.
    """
    cache = cache_dir or locations.cache_dir()
    tell, damaged = progress or _logger.info, progress or _logger.warning
    texts, origin = _texts(config, data_dir, cache, tell, damaged)
    encoded = encode(texts, config.vocabulary_size, cache, tell, damaged)
    source = source_of(config.name)
    if source is not None:
        _check_counts(source, encoded, whole_vocabulary=config.vocabulary_size is None)
    if config.name in PARTS:
        encoded = _with_training_part(encoded, PARTS[config.name])
    return Corpus(config.name, encoded.vocabulary, encoded.splits, texts, _provenance(config, encoded, origin))


def _check_counts(source: Source, encoded: Encoded, *, whole_vocabulary: bool) -> None:
    """Raise a CorpusError unless lines, words and, for a whole vocabulary, distinct words are the published ones."""
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


def _texts(
    config: CorpusConfig,
    data_dir: Path | None,
    cache: Path,
    tell: Callable[[str], None],
    damaged: Callable[[str], None],
) -> tuple[dict[str, Path], dict[str, Any]]:
    """Return the text file of each split, and plain JSON values that say where they come from."""
    source = source_of(config.name)
    if data_dir is not None and source is None:
        raise ConfigError(
            f"--data-dir has no effect on the corpus {config.name!r}, which needs no data folder. Leave it out."
        )
    if data_dir is not None and not data_dir.is_dir():
        raise CorpusError(f"The data folder {data_dir} does not exist. Check the path, or make the folder first.")
    if source is not None:
        texts = find_or_fetch(source, data_dir or locations.data_dir(), tell)
        return texts, {"title": source.title, "licence": source.licence}
    if config.name == "text":
        return {split: locations.expanded(getattr(config, split)) for split in SPLITS}, {}
    return _built(config.name, cache, tell, damaged)


def _with_training_part(encoded: Encoded, part: Part) -> Encoded:
    """Put a stretch of the training text in its place: a view of its ids, not a copy."""
    whole = encoded.splits["train"]
    ids = whole.ids[part.start : part.stop]
    unknown = int(np.count_nonzero(ids == encoded.vocabulary.unknown_id))
    train = replace(whole, ids=ids, words=len(ids), unknown=unknown, lines=part.lines)
    return replace(encoded, splits={**encoded.splits, "train": train})


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


def _built(
    name: str, cache: Path, tell: Callable[[str], None], damaged: Callable[[str], None]
) -> tuple[dict[str, Path], dict[str, Any]]:
    """Return the texts of a corpus that the module of its name builds, from the cache where they are whole there.

    The module has `RULE_VERSION` and `build(folder)`, which writes `train.txt`, `valid.txt` and `test.txt` into a
    folder and returns its provenance.
    """
    module = _builder(name)
    python = f"-python{platform.python_version()}" if name == "builtin" else ""  # its text is of that Python
    folder = cache / f"{name}-v{module.RULE_VERSION}{python}"

    def make(target: Path) -> dict[str, Any]:
        tell(f"Building the corpus {name} in {folder}")
        return module.build(target)

    origin = cached(folder, make, damaged)
    return {split: folder / f"{split}.txt" for split in SPLITS}, origin


def _builder(name: str) -> Any:
    if name == "builtin":
        from tiedlm.corpora import builtin  # here, so that the published corpora do not wait for what they do not use

        return builtin
    from tiedlm.corpora import synthetic

    return synthetic
