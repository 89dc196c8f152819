"""Three texts → a vocabulary and three memory-mapped arrays of ids, kept in a cache folder by the hash of the content.

A cache folder `<cache>/encoded/<key>/` holds `train.npy`, `valid.npy`, `test.npy` (uint16 up to 65,536 words of
vocabulary, else uint32), `vocabulary.json`, and `encoded.json`, which lists the others' size and sha256. The key is a
hash of the three texts' sha256, the vocabulary's size and this module's version. The folder is made aside and renamed.
When it is opened, every file's size and sha256 are compared; where one differs the folder is made anew, with a note.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
from filelock import FileLock

from tiedlm import files
from tiedlm.corpora.text import check_file, pieces
from tiedlm.corpora.vocabulary import Vocabulary
from tiedlm.errors import CorpusError, TiedlmError

ENCODING_VERSION = 1
SPLITS = ("train", "valid", "test")

Note = Callable[[str], None]


@final
@dataclass(frozen=True)
class Split:
    """One split of a corpus as ids, and what was counted in it."""

    ids: np.ndarray[Any, Any]
    """All words in order, `<eos>` after each line [words]; uint16 or uint32, memory-mapped, read-only."""
    words: int
    """Words that are scored: those of the text and one `<eos>` a line."""
    unknown: int
    """How many of them are `<unk>`: written so in the text, or outside the vocabulary."""
    lines: int
    """Lines of the text, blank ones included."""


@final
@dataclass(frozen=True)
class Encoded:
    """A vocabulary, the splits in its ids, and the sha256 of each split's text."""

    vocabulary: Vocabulary
    splits: dict[str, Split]
    text_sha256: dict[str, str]


def encode(texts: Mapping[str, Path], vocabulary_size: int | None, cache: Path, note: Note) -> Encoded:
    """Return three texts encoded by the vocabulary of the first, from the cache where it holds them.

    Args:
        texts: the text file of each of `train`, `valid` and `test`.
        vocabulary_size: as in `Vocabulary.from_counts`.
        cache: the cache folder; made where missing.
        note: is told, a line each, what takes time and what in the cache was damaged.

    Raises:
        CorpusError: a text that cannot be read or has no word, or a cache folder that cannot be written.
    """
    for split in SPLITS:
        check_file(texts[split])
    hashes = {split: files.sha256(texts[split]) for split in SPLITS}
    folder = cache / "encoded" / _key(hashes, vocabulary_size)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            encoded = _open(folder, hashes, note)
            if encoded is None:
                _make(folder, texts, hashes, vocabulary_size, note)
                encoded = _open(folder, hashes, note)
    except OSError as error:
        raise CorpusError(
            f"The encoded corpus cannot be kept in {folder}: {error.strerror or error}. "
            "Make room there, or set TIEDLM_CACHE_DIR to another folder."
        ) from error
    if encoded is None:
        raise CorpusError(f"{folder} was damaged while it was made. Check the disk, then try again.")
    return encoded


def text_ids(path: Path, vocabulary: Vocabulary) -> Iterator[tuple[np.ndarray[Any, Any], int]]:
    """Yield a text's ids in order, some at a time, each time with the number of lines that end among them."""
    ids = _Ids(vocabulary)
    for words, lines in pieces(path):
        yield np.fromiter(map(ids.__getitem__, words), dtype=_dtype(len(vocabulary)), count=len(words)), lines


class _Ids(dict[bytes, int]):
    """The id of each word, as UTF-8 bytes; that of `<unk>` for any other."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__((word.encode(), number) for number, word in enumerate(vocabulary.words))
        self._unknown = vocabulary.unknown_id

    def __missing__(self, word: bytes) -> int:
        return self._unknown


def _key(hashes: Mapping[str, str], vocabulary_size: int | None) -> str:
    content = json.dumps([ENCODING_VERSION, [hashes[split] for split in SPLITS], vocabulary_size])
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def _dtype(vocabulary_size: int) -> np.dtype[Any]:
    return np.dtype("<u2" if vocabulary_size <= 1 << 16 else "<u4")


def _make(
    folder: Path, texts: Mapping[str, Path], hashes: Mapping[str, str], vocabulary_size: int | None, note: Note
) -> None:
    partial = folder.with_suffix(files.PARTIAL)
    shutil.rmtree(partial, ignore_errors=True)  # left by a killed process: the lock is ours
    partial.mkdir()
    try:
        note(f"Counting the words of {texts['train']}")
        vocabulary = count_words(texts["train"], vocabulary_size)
        files.write_json(partial / "vocabulary.json", vocabulary.to_json())
        record: dict[str, Any] = {"version": ENCODING_VERSION, "vocabulary_size": vocabulary_size}
        for split in SPLITS:
            note(f"Encoding {texts[split]}")
            record[split] = {"text_sha256": hashes[split], **write_ids(texts[split], vocabulary, partial / f"{split}.npy")}
        record["files"] = {
            path.name: {"bytes": path.stat().st_size, "sha256": files.sha256(path)} for path in sorted(partial.iterdir())
        }
        files.write_json(partial / "encoded.json", record)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(partial, folder)
        files.flush(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def count_words(path: Path, vocabulary_size: int | None = None) -> Vocabulary:
    """Return the vocabulary of a training text, in memory that grows with its distinct words only."""
    counts: Counter[bytes] = Counter()
    for words, _ in pieces(path):
        counts.update(words)
    return Vocabulary.from_counts({word.decode(): count for word, count in counts.items()}, vocabulary_size)


def write_ids(path: Path, vocabulary: Vocabulary, target: Path) -> dict[str, int]:
    """Write a text's ids to `target` in NumPy's format; return its `words`, `unknown` and `lines`.

    Raises:
        CorpusError: the text cannot be read, or has blanks only.
    """
    dtype, words, unknown, total = _dtype(len(vocabulary)), 0, 0, 0
    with files.published(target) as partial, partial.open("wb") as file:
        _write_header(file, dtype, 0)
        start = file.tell()
        for ids, lines in text_ids(path, vocabulary):
            file.write(ids.tobytes())
            words, total = words + len(ids), total + lines
            unknown += int(np.count_nonzero(ids == vocabulary.unknown_id))
        file.seek(0)
        _write_header(file, dtype, words)  # NumPy pads a header so that its length stays when the shape grows
        if file.tell() != start:
            raise AssertionError("NumPy's header changed its length with the shape")
    if words == total:
        raise CorpusError(f"The text {path} has {total:,} lines but no word. Give a file with at least one word.")
    return {"words": words, "unknown": unknown, "lines": total}


def _write_header(file: Any, dtype: np.dtype[Any], words: int) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (words,)}
    np.lib.format.write_array_header_1_0(file, header)


def _open(folder: Path, hashes: Mapping[str, str], note: Note) -> Encoded | None:
    if not folder.exists():
        return None
    try:
        return _read(folder, hashes)
    except (TiedlmError, OSError, KeyError, TypeError, ValueError) as error:
        note(f"The encoded corpus in {folder} is damaged and is made anew: {error}")
        return None


def _read(folder: Path, hashes: Mapping[str, str]) -> Encoded:
    record = files.read_json(folder / "encoded.json")
    for name in ("vocabulary.json", *(f"{split}.npy" for split in SPLITS)):
        path, expected = folder / name, record["files"][name]
        if not path.is_file():
            raise CorpusError(f"{name} is missing.")
        if path.stat().st_size != expected["bytes"]:
            raise CorpusError(f"{name} has {path.stat().st_size:,} bytes instead of {expected['bytes']:,}.")
        if files.sha256(path) != expected["sha256"]:
            raise CorpusError(f"{name} has another sha256 than when it was written.")
    vocabulary = Vocabulary.from_json(files.read_json(folder / "vocabulary.json"))
    splits = {}
    for split in SPLITS:
        counted = record[split]
        if counted["text_sha256"] != hashes[split]:
            raise CorpusError(f"{split}.npy was made from another text.")
        ids = np.load(folder / f"{split}.npy", mmap_mode="r", allow_pickle=False)
        splits[split] = Split(ids, counted["words"], counted["unknown"], counted["lines"])
    return Encoded(vocabulary, splits, dict(hashes))
