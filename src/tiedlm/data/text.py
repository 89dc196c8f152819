"""File → words → vocabulary → ids, in memory that does not grow with the file, its lines or its words.

How a text is read, which is the published counting of PTB and WikiText-2:

* A text is UTF-8 without NUL; a byte-order mark at its start is skipped.
* Words are separated by space, tab, line feed, carriage return, vertical tab and form feed (ASCII only; a no-break
  space is part of its word).
* A line ends at a line feed, so CRLF reads like LF; a missing last line feed reads as if it were there.
* Every line gives its words and then `<eos>`; a blank line gives `<eos>` alone. `<eos>` or `<unk>` written out in the
  text is that same word.
* A word has at most 1 MB.
"""

from __future__ import annotations

import hashlib
import json
import stat
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BufferedReader
from itertools import repeat
from pathlib import Path
from typing import IO, Any, final

import numpy as np

from tiedlm import files
from tiedlm.errors import CorpusError

UNKNOWN = "<unk>"
END = "<eos>"
MAX_WORD_BYTES = 1_000_000
CHUNK_BYTES = 1 << 18
VOCABULARY_VERSION = 1

_BLANKS = (b" ", b"\n", b"\r", b"\t", b"\v", b"\f")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_END_OF_LINE = f" {END} ".encode()


@contextmanager
def open_text(path: Path) -> Iterator[BufferedReader]:
    """Open a text file for reading bytes.

    Raises:
        CorpusError: the file is missing, empty, no regular file or unreadable.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise CorpusError(
                f"The text {path} is a folder, pipe or device, but must be a file: it is read more than once."
            )
        if status.st_size == 0:
            raise CorpusError(f"The text {path} is empty. Give a file with at least one word.")
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise CorpusError(f"The text {path} does not exist. Check the path.") from error
    except OSError as error:
        raise CorpusError(f"The text {path} cannot be read: {error.strerror or error}.") from error


def text_sha256(path: Path) -> str:
    """Return the sha256 of a file; raises as `open_text`."""
    with open_text(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_chunks(path: Path, chunk_bytes: int = CHUNK_BYTES) -> Iterator[tuple[list[bytes], int]]:
    """Yield a text in chunks: words in order, as UTF-8 bytes, `<eos>` after each line; and the lines that end in it.

    Raises:
        CorpusError: as `open_text`; or, when the reading gets there, a content that is not text as defined above.
    """
    with open_text(path) as file:
        offset = file.seek(len(_BYTE_ORDER_MARK) if file.read(len(_BYTE_ORDER_MARK)) == _BYTE_ORDER_MARK else 0)
        line, rest, last = 1, b"", b""  # line and offset are those of the first byte of rest
        while block := file.read(chunk_bytes):
            last = block[-1:]
            cut = 1 + max(block.rfind(blank) for blank in _BLANKS)
            if cut == 0:  # within a word
                rest += block
                if b"\0" in rest:
                    _check_characters(path, rest, line, offset)
                _check_length(path, rest, line)
                continue
            whole, rest = rest + block[:cut], block[cut:]
            words, lines = _chunk(path, whole, line, offset)
            line, offset = line + lines, offset + len(whole)
            yield words, lines
        if last != b"\n":
            yield _chunk(path, rest + b"\n", line, offset)


def _chunk(path: Path, whole: bytes, line: int, offset: int) -> tuple[list[bytes], int]:
    _check_characters(path, whole, line, offset)
    words = whole.replace(b"\n", _END_OF_LINE).split()  # bytes.split() knows the six ASCII blanks and no others
    if len(whole) > MAX_WORD_BYTES and words:
        longest = max(words, key=len)
        _check_length(path, longest, line + whole.count(b"\n", 0, whole.find(longest)))
    return words, whole.count(b"\n")


def _check_characters(path: Path, whole: bytes, line: int, offset: int) -> None:
    position, what = whole.find(b"\0"), "a NUL byte"
    try:
        whole.decode()
    except UnicodeDecodeError as error:
        if not 0 <= position < error.start:
            position, what = error.start, "a byte that is not UTF-8"
    if position >= 0:
        line += whole.count(b"\n", 0, position)
        raise CorpusError(
            f"{path} has {what} (0x{whole[position]:02x}) in line {line:,}, at byte offset {offset + position:,}: it "
            "is binary or in another encoding. Give plain text in UTF-8."
        )


def _check_length(path: Path, word: bytes, line: int) -> None:
    if len(word) > MAX_WORD_BYTES:
        raise CorpusError(
            f"{path} has a word of more than {MAX_WORD_BYTES:,} bytes in line {line:,}. "
            "Separate words with spaces, as in `no , it was n't`."
        )


@final
@dataclass(frozen=True)
class Vocabulary:
    """Words by id, most frequent first, ties by the word.

    `<unk>` stands for every word outside the vocabulary; `<eos>` ends every line. Both are always among the words.

    Raises:
        CorpusError: lengths that differ, a word twice, no word or with a blank, a special word missing, a count below
            zero, or another order.
    """

    words: tuple[str, ...]
    """The word of each id [V]."""
    counts: tuple[int, ...]
    """How often the training text has each word [V]; words beyond the size are counted as `<unk>`."""

    def __post_init__(self) -> None:
        keys = [(-count, word) for word, count in zip(self.words, self.counts, strict=False)]
        if len(self.words) != len(self.counts):
            raise _invalid(f"{len(self.words):,} words, but {len(self.counts):,} counts")
        if not {UNKNOWN, END} <= set(self.words):
            raise _invalid(f"{UNKNOWN} or {END} is missing")
        if not all(map(_is_word, self.words)) or len(set(self.words)) != len(self.words):
            raise _invalid("an empty or repeated word, or one with a blank or a character that no text can have")
        if min(self.counts) < 0 or keys != sorted(keys):
            raise _invalid("a count below zero, or not in order (most frequent first, ties by the word)")

    @classmethod
    def from_counts(cls, counts: Mapping[str, int], size: int | None = None) -> Vocabulary:
        """Return the vocabulary of a training text that has each word so often, `<eos>` once a line included.

        Args:
            counts: word → how often the text has it.
            size: number of words, `<unk>` and `<eos>` included: these two and the most frequent others; None keeps all.
        """
        if size is not None and size < 3:
            raise CorpusError(f"The vocabulary's size is {size}, but must be 3 or more (`<unk>`, `<eos>`, a word).")
        count_of = {UNKNOWN: counts.get(UNKNOWN, 0), END: counts.get(END, 0)}
        others = sorted((-count, word) for word, count in counts.items() if word not in count_of)
        stop = len(others) if size is None else size - len(count_of)
        count_of |= {word: -negative for negative, word in others[:stop]}
        count_of[UNKNOWN] -= sum(negative for negative, _ in others[stop:])
        words = sorted(count_of, key=lambda word: (-count_of[word], word))
        return cls(tuple(words), tuple(count_of[word] for word in words))

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def id_of(self) -> dict[str, int]:
        """The id of each word in the vocabulary; do not change it."""
        return {word: number for number, word in enumerate(self.words)}

    @property
    def unknown_id(self) -> int:
        return self.id_of[UNKNOWN]

    @property
    def end_id(self) -> int:
        return self.id_of[END]

    def ids(self, words: Iterable[str]) -> list[int]:
        """Return the id of each word, that of `<unk>` for a word outside the vocabulary."""
        unknown = self.unknown_id
        return [self.id_of.get(word, unknown) for word in words]

    @cached_property
    def sha256(self) -> str:
        """The sha256 of words and counts: equal if and only if the vocabularies are."""
        content = json.dumps([VOCABULARY_VERSION, self.words, self.counts], ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return {"version": VOCABULARY_VERSION, "words": list(self.words), "counts": list(self.counts)}

    @classmethod
    def from_json(cls, value: Any) -> Vocabulary:
        """Return the vocabulary that `to_json` turned into `value`; a CorpusError where it is none."""
        version = value.get("version") if isinstance(value, dict) else None
        if version != VOCABULARY_VERSION or value.keys() != {"version", "words", "counts"}:
            raise _invalid(
                f"not an object with words, counts and version {VOCABULARY_VERSION} (version: {version}); prepare the "
                "corpus again, or use the version of tiedlm that wrote it"
            )
        for name, kind in (("words", str), ("counts", int)):
            if not isinstance(value[name], list) or not all(type(item) is kind for item in value[name]):
                raise _invalid(f"{name} is not a list of {kind.__name__}")
        return cls(tuple(value["words"]), tuple(value["counts"]))


def _invalid(reason: str) -> CorpusError:
    return CorpusError(f"Invalid vocabulary: {reason}.")


def _is_word(word: str) -> bool:
    encoded = word.encode(errors="replace")  # half of a surrogate pair, which JSON can hold, comes back as another word
    return encoded.split() == [encoded] and b"\0" not in encoded and encoded.decode() == word


def count_words(path: Path, vocabulary_size: int | None = None) -> Vocabulary:
    """Return the vocabulary of a training text, in memory that grows with its distinct words only."""
    counts: Counter[bytes] = Counter()
    for words, _ in read_chunks(path):
        counts.update(words)
    return Vocabulary.from_counts({word.decode(): count for word, count in counts.items()}, vocabulary_size)


def write_ids(path: Path, vocabulary: Vocabulary, target: Path) -> dict[str, int]:
    """Write a text's ids to `target` in NumPy's format: uint16 up to 65,536 words of vocabulary, else uint32.

    Returns:
        The numbers of `words`, of `unknown` ones among them, and of `lines`, as in `corpus.Split`.

    Raises:
        CorpusError: the text cannot be read, or has blanks only.
    """
    dtype, unknown_id = np.dtype("<u2" if len(vocabulary) <= 1 << 16 else "<u4"), vocabulary.unknown_id
    id_of = {word.encode(): number for word, number in vocabulary.id_of.items()}
    total, unknown, total_lines = 0, 0, 0
    with files.atomic_write(target) as partial, partial.open("wb") as file:
        _write_header(file, dtype, 0)
        for words, lines in read_chunks(path):
            ids = np.fromiter(map(id_of.get, words, repeat(unknown_id)), dtype=dtype, count=len(words))
            file.write(ids.tobytes())
            total, total_lines = total + len(ids), total_lines + lines
            unknown += int(np.count_nonzero(ids == unknown_id))
        file.seek(0)
        _write_header(file, dtype, total)  # as long as before: NumPy leaves room for the shape to grow
    if total == total_lines:
        raise CorpusError(
            f"The text {path} has no word in its {total_lines:,} lines. Give a file with at least one word."
        )
    return {"words": total, "unknown": unknown, "lines": total_lines}


def _write_header(file: IO[bytes], dtype: np.dtype[Any], words: int) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (words,)}
    np.lib.format.write_array_header_1_0(file, header)


@contextmanager
def ids_of_file(path: Path, vocabulary: Vocabulary) -> Iterator[np.ndarray[Any, Any]]:
    """Yield the ids of a text file, `<eos>` after each line [words]: memory-mapped from a temporary file.

    Raises:
        CorpusError: the text cannot be read or has no word, or there is no room for the ids.
    """
    with tempfile.TemporaryDirectory(prefix="tiedlm-") as folder:
        target = Path(folder) / "ids.npy"
        try:
            write_ids(path, vocabulary, target)
        except OSError as error:
            raise CorpusError(
                f"The ids of {path} cannot be written to {folder}: {error.strerror or error}. Make room there, or set "
                "TMPDIR to another folder."
            ) from error
        yield np.load(target, mmap_mode="r", allow_pickle=False)
