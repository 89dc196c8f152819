"""Three texts → a vocabulary and three memory-mapped arrays of ids, kept in a cache folder by the hash of the content.

The cache folder `<cache>/encoded/<key>/` holds `train.npy`, `valid.npy` and `test.npy` (uint16 up to 65,536 words of
vocabulary, else uint32) and `vocabulary.json`; `cache` says how it is made and checked. The key is a hash of the three
texts' sha256, the vocabulary's size and this module's version.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, final

import numpy as np

from tiedlm import files
from tiedlm.corpora.cache import cached
from tiedlm.corpora.text import pieces, text_sha256
from tiedlm.corpora.vocabulary import Vocabulary
from tiedlm.errors import CorpusError

ENCODING_VERSION = 1
SPLITS = ("train", "valid", "test")


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


def encode(
    texts: Mapping[str, Path],
    vocabulary_size: int | None,
    cache: Path,
    progress: Callable[[str], None],
    damaged: Callable[[str], None],
) -> Encoded:
    """Return three texts encoded by the vocabulary of the first, from the cache where it holds them.

    Args:
        texts: the text file of each of `train`, `valid` and `test`.
        vocabulary_size: as in `Vocabulary.from_counts`.
        cache: the cache folder; made where missing.
        progress: is told, a line each, what takes time.
        damaged: is told what in the cache was damaged and is made anew.

    Raises:
        CorpusError: a text that cannot be read or has no word, or a cache folder that cannot be written.
    """
    hashes = {split: text_sha256(texts[split]) for split in SPLITS}
    key = files.json_sha256([ENCODING_VERSION, hashes, vocabulary_size])
    folder = cache / "encoded" / key[:32]

    def make(target: Path) -> dict[str, Any]:
        progress(f"Counting the words of {texts['train']}")
        vocabulary = count_words(texts["train"], vocabulary_size)
        files.write_json(target / "vocabulary.json", vocabulary.to_json())
        counted = {}
        for split in SPLITS:
            progress(f"Encoding {texts[split]}")
            counted[split] = write_ids(texts[split], vocabulary, target / f"{split}.npy")
        for split in SPLITS:  # else these ids would be found under the sha256 of another text
            if text_sha256(texts[split]) != hashes[split]:
                raise CorpusError(f"The text {texts[split]} changed while it was read. Try again when it is finished.")
        return counted

    counted = cached(folder, make, damaged)
    vocabulary = Vocabulary.from_json(files.read_json(folder / "vocabulary.json"))
    splits = {
        split: Split(np.load(folder / f"{split}.npy", mmap_mode="r", allow_pickle=False), **counted[split])
        for split in SPLITS
    }
    return Encoded(vocabulary, splits, hashes)


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


def _dtype(vocabulary_size: int) -> np.dtype[Any]:
    return np.dtype("<u2" if vocabulary_size <= 1 << 16 else "<u4")


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
        raise CorpusError(f"The text {path} has no word in its {total:,} lines. Give a file with at least one word.")
    return {"words": words, "unknown": unknown, "lines": total}


def _write_header(file: IO[bytes], dtype: np.dtype[Any], words: int) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (words,)}
    np.lib.format.write_array_header_1_0(file, header)
