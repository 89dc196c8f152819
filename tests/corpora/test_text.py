from __future__ import annotations

import os
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiedlm.corpora import text
from tiedlm.corpora.text import END, WORD_LIMIT, check_file, pieces, text_sha256
from tiedlm.errors import CorpusError


def write(folder: Path, content: bytes) -> Path:
    path = folder / "a.txt"
    path.write_bytes(content)
    return path


def read(path: Path, chunk_bytes: int = text.CHUNK_BYTES) -> tuple[list[str], int]:
    found = list(pieces(path, chunk_bytes))
    return [word.decode() for piece in found for word in piece.words], sum(piece.lines for piece in found)


@pytest.mark.parametrize(
    ("content", "words", "lines"),
    [
        (b"a b\nc\n", ["a", "b", END, "c", END], 2),
        (b"a b\nc", ["a", "b", END, "c", END], 2),  # no final line feed
        (b"a b\nc ", ["a", "b", END, "c", END], 2),
        (b"a b\r\nc\r\n", ["a", "b", END, "c", END], 2),  # CRLF
        (b"a\rb\n", ["a", "b", END], 1),  # a carriage return alone is a blank
        (b" a\t b\v\fc \n", ["a", "b", "c", END], 1),
        (b"\n\n a \n \n", [END, END, "a", END, END], 4),  # blank lines
        (b"\n", [END], 1),
        (b" ", [END], 1),
        (b"a", ["a", END], 1),
        (b"ab", ["ab", END], 1),
        (b"\xef\xbb\xbfa b\n", ["a", "b", END], 1),  # byte-order mark
        (b"\xef\xbb\xbf", [END], 1),
        ("a\u00a0b \u2028 \x85x\n".encode(), ["a\u00a0b", "\u2028", "\x85x", END], 1),  # no ASCII blanks
        (b"<eos> <unk>\n", ["<eos>", "<unk>", END], 1),
    ],
)
def test_reading(tmp_path: Path, content: bytes, words: list[str], lines: int) -> None:
    assert read(write(tmp_path, content)) == (words, lines)


@given(st.text(alphabet="ab é\n\r\t\u2028𝄞", min_size=1), st.integers(1, 9))
def test_reading_does_not_depend_on_the_chunk(
    tmp_path_factory: pytest.TempPathFactory, content: str, size: int
) -> None:
    path = write(tmp_path_factory.getbasetemp(), content.encode())
    lines = re.sub(r"\n\Z", "", content).split("\n")
    words = [word for line in lines for word in [*re.findall(r"[^ \n\r\t]+", line), END]]
    assert read(path, size) == (words, len(lines))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a b\nc \xff d\n", "a byte that is not UTF-8 (0xff) in line 2, at byte offset 6"),
        (b"a\n\nb \xc3", "a byte that is not UTF-8 (0xc3) in line 3, at byte offset 5"),
        (b"a b\n\0\n", "a NUL byte (0x00) in line 2, at byte offset 4"),
        (b"\xff \0", "a byte that is not UTF-8 (0xff) in line 1, at byte offset 0"),
        (b"\0 \xff", "a NUL byte (0x00) in line 1, at byte offset 0"),
        ("a b\n".encode("utf-16"), "a byte that is not UTF-8 (0xff) in line 1, at byte offset 0"),
        (b"\xef\xbb\xbfa \xfe\n", "a byte that is not UTF-8 (0xfe) in line 1, at byte offset 5"),
        (b"\xed\xa0\x80\n", "a byte that is not UTF-8 (0xed) in line 1, at byte offset 0"),  # half a surrogate pair
    ],
)
@pytest.mark.parametrize("chunk_bytes", [1, 2, 5, text.CHUNK_BYTES])
def test_a_byte_that_is_no_text_is_named_by_line_and_offset(
    tmp_path: Path, content: bytes, message: str, chunk_bytes: int
) -> None:
    path = write(tmp_path, content)
    with pytest.raises(CorpusError) as raised:
        read(path, chunk_bytes)
    assert str(raised.value) == (
        f"{path} has {message}: it is binary or in another encoding. Give plain text in UTF-8."
    )


def test_the_line_of_a_wrong_byte_counts_those_of_earlier_chunks(tmp_path: Path) -> None:
    path = write(tmp_path, b"a b\n" * 200_000 + b"\x80\n")
    with pytest.raises(CorpusError, match=r"\(0x80\) in line 200,001, at byte offset 800,000"):
        read(path)


def test_a_missing_text(tmp_path: Path) -> None:
    with pytest.raises(CorpusError) as raised:
        read(tmp_path / "no.txt")
    assert str(raised.value) == f"The text {tmp_path / 'no.txt'} does not exist. Check the path."


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CorpusError) as raised:
        read(tmp_path)
    assert str(raised.value) == f"The text {tmp_path} is a folder, but must be a text file."


def test_an_empty_text(tmp_path: Path) -> None:
    path = write(tmp_path, b"")
    with pytest.raises(CorpusError) as raised:
        read(path)
    assert str(raised.value) == f"The text {path} is empty. Give a file with at least one word."


def test_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(CorpusError) as raised:
        check_file(path)
    assert str(raised.value) == f"The text {path} is a pipe or device, but must be a file: it is read more than once."


def test_a_path_through_a_file(tmp_path: Path) -> None:
    path = write(tmp_path, b"a\n") / "b.txt"
    with pytest.raises(CorpusError) as raised:
        check_file(path)
    assert str(raised.value) == f"The text {path} cannot be read: Not a directory."


@pytest.mark.parametrize("reader", [lambda path: list(pieces(path)), text_sha256])
def test_a_text_that_fails_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: object) -> None:
    path = write(tmp_path, b"a\n")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CorpusError) as raised:
        reader(path)  # pyright: ignore[reportCallIssue]
    assert str(raised.value) == f"The text {path} cannot be read: Permission denied."


@pytest.mark.parametrize("chunk_bytes", [text.CHUNK_BYTES, 777_777, 5_000_000])
def test_a_word_may_have_a_million_bytes_and_no_more(tmp_path: Path, chunk_bytes: int) -> None:
    path = write(tmp_path, b"\xef\xbb\xbfa b\nc " + b"x" * WORD_LIMIT + b" d\n")
    words, lines = read(path, chunk_bytes)
    assert [len(word) for word in words] == [1, 1, 5, 1, WORD_LIMIT, 1, 5]
    assert lines == 2
    path = write(tmp_path, b"a b\nc " + b"x" * (WORD_LIMIT + 1) + b" d\n")
    with pytest.raises(CorpusError) as raised:
        read(path, chunk_bytes)
    assert str(raised.value) == (
        f"{path} has a word of more than 1,000,000 bytes in line 2. Part words by blanks, as in `no , it was n't`."
    )


def test_a_long_stretch_of_nul_bytes_is_called_binary(tmp_path: Path) -> None:
    path = write(tmp_path, b"a\n" + bytes(2 * WORD_LIMIT))
    with pytest.raises(CorpusError, match=r"a NUL byte .* in line 2, at byte offset 2"):
        read(path)


def peak_bytes(path: Path) -> int:
    tracemalloc.start()
    try:
        for _ in pieces(path):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("unit", [b"consumption ", b" ", b"consumption\n"], ids=["line", "blanks", "lines"])
def test_memory_does_not_grow_with_the_text(tmp_path: Path, unit: bytes) -> None:
    small, large = tmp_path / "small.txt", tmp_path / "large.txt"
    small.write_bytes(unit * (1_000_000 // len(unit)))
    large.write_bytes(unit * (5_000_000 // len(unit)))
    assert peak_bytes(large) < 1.1 * peak_bytes(small)


def test_a_sha256(tmp_path: Path) -> None:
    assert text_sha256(write(tmp_path, b"abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(CorpusError, match="does not exist"):
        text_sha256(tmp_path / "no.txt")


def test_a_word_without_end_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    path = write(tmp_path, b"a\n" + b"x" * 30_000_000)
    tracemalloc.start()
    with pytest.raises(CorpusError, match=r"a word of more than 1,000,000 bytes in line 2\."):
        read(path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 5 * WORD_LIMIT
