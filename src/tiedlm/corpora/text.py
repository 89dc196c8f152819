"""A text file → its words, piece by piece, in memory that does not grow with the file, its lines or its words.

The reading, which is the published counting of PTB and WikiText-2:

* A text is UTF-8; a byte-order mark at its start is skipped. A NUL or an invalid byte is an error that names line
  and offset.
* Blanks part words: space, tab, line feed, carriage return, vertical tab, form feed (ASCII only; a no-break space is
  part of its word).
* A line ends at a line feed, so CRLF reads like LF; a carriage return alone is a blank. A missing last line feed reads
  as if it were there.
* Every line gives its words and then `<eos>`; a blank line gives `<eos>` alone. `<eos>` or `<unk>` written out in the
  text is that same word.
* A word has at most 1 MB.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tiedlm import files
from tiedlm.errors import CorpusError

UNKNOWN = "<unk>"
END = "<eos>"
WORD_LIMIT = 1_000_000
CHUNK_BYTES = 1 << 18

_BLANKS = (b" ", b"\n", b"\r", b"\t", b"\v", b"\f")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_END_OF_LINE = f" {END} ".encode()


class Piece(NamedTuple):
    """Some words of a text in order, as UTF-8 bytes, `<eos>` after each line; and the lines that end among them."""

    words: list[bytes]
    lines: int


def pieces(path: Path, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Piece]:
    """Yield the text of `path` as pieces; where a piece ends depends on `chunk_bytes`, the words do not.

    Raises:
        CorpusError: the file is missing, empty, no regular file or unreadable; or its content is not text as defined
            above. An error in the content is raised when the reading gets there.
    """
    check_file(path)
    try:
        with path.open("rb") as file:
            yield from _pieces(path, file, chunk_bytes)
    except OSError as error:
        raise CorpusError(f"The text {path} cannot be read: {error.strerror or error}.") from error


def check_file(path: Path) -> int:
    """Return the size of a text file in bytes; raise a CorpusError unless it is a regular file that is not empty."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        raise CorpusError(f"The text {path} does not exist. Check the path.") from error
    except OSError as error:
        raise CorpusError(f"The text {path} cannot be read: {error.strerror or error}.") from error
    if stat.S_ISDIR(status.st_mode):
        raise CorpusError(f"The text {path} is a folder, but must be a text file.")
    if not stat.S_ISREG(status.st_mode):
        raise CorpusError(f"The text {path} is a pipe or device, but must be a file: it is read more than once.")
    if status.st_size == 0:
        raise CorpusError(f"The text {path} is empty. Give a file with at least one word.")
    return status.st_size


def text_sha256(path: Path) -> str:
    """Return the sha256 of a text file; raise a CorpusError as `check_file` does."""
    check_file(path)
    try:
        return files.sha256(path)
    except OSError as error:
        raise CorpusError(f"The text {path} cannot be read: {error.strerror or error}.") from error


def _pieces(path: Path, file: BinaryIO, chunk_bytes: int) -> Iterator[Piece]:
    offset = file.seek(len(_BYTE_ORDER_MARK) if file.read(len(_BYTE_ORDER_MARK)) == _BYTE_ORDER_MARK else 0)
    line, rest, last = 1, b"", b""  # line and offset are those of the first byte of rest
    while chunk := file.read(chunk_bytes):
        last = chunk[-1:]
        cut = 1 + max(chunk.rfind(blank) for blank in _BLANKS)
        if cut == 0:
            rest += chunk
            _check_unfinished(path, rest, line, offset)
            continue
        whole, rest = rest + chunk[:cut], chunk[cut:]
        piece = _piece(path, whole, line, offset)
        line, offset = line + piece.lines, offset + len(whole)
        yield piece
    if last != b"\n":
        yield _piece(path, rest + b"\n", line, offset)


def _piece(path: Path, whole: bytes, line: int, offset: int) -> Piece:
    _check_characters(path, whole, line, offset)
    words = whole.replace(b"\n", _END_OF_LINE).split()  # bytes.split() knows the six ASCII blanks and no others
    if len(whole) > WORD_LIMIT and words:
        longest = max(words, key=len)
        _check_length(path, len(longest), line + whole.count(b"\n", 0, whole.find(longest)))
    return Piece(words, whole.count(b"\n"))


def _check_unfinished(path: Path, word: bytes, line: int, offset: int) -> None:
    if b"\0" in word:
        _check_characters(path, word, line, offset)
    _check_length(path, len(word), line)


def _check_characters(path: Path, whole: bytes, line: int, offset: int) -> None:
    nul = whole.find(b"\0")
    try:
        whole.decode()
        wrong, what = nul, "a NUL byte"
    except UnicodeDecodeError as error:
        wrong, what = (nul, "a NUL byte") if 0 <= nul < error.start else (error.start, "a byte that is not UTF-8")
    if wrong < 0:
        return
    line += whole.count(b"\n", 0, wrong)
    raise CorpusError(
        f"{path} has {what} (0x{whole[wrong]:02x}) in line {line:,}, at byte offset "
        f"{offset + wrong:,}: it is binary or in another encoding. Give plain text in UTF-8."
    )


def _check_length(path: Path, length: int, line: int) -> None:
    if length > WORD_LIMIT:
        raise CorpusError(
            f"{path} has a word of more than {WORD_LIMIT:,} bytes in line {line:,}. "
            "Part words by blanks, as in `no , it was n't`."
        )
