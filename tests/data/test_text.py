"""A file becomes words, a vocabulary and ids: how it is read, what is refused, and in how much memory."""

import errno
import json
import os
import re
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiedlm.data import text
from tiedlm.data.text import (
    END,
    MAX_WORD_BYTES,
    UNKNOWN,
    Vocabulary,
    count_words,
    ids_of_file,
    read_chunks,
    text_sha256,
    write_ids,
)
from tiedlm.errors import CorpusError


def write(folder: Path, content: bytes) -> Path:
    path = folder / "a.txt"
    path.write_bytes(content)
    return path


def read(path: Path, chunk_bytes: int = text.CHUNK_BYTES) -> tuple[list[str], int]:
    chunks = list(read_chunks(path, chunk_bytes))
    return [word.decode() for words, _ in chunks for word in words], sum(lines for _, lines in chunks)


@pytest.mark.parametrize(
    ("content", "words", "lines"),
    [
        (b"a b\nc", ["a", "b", END, "c", END], 2),  # no final line feed
        (b"a b\r\nc\r\n", ["a", "b", END, "c", END], 2),  # CRLF
        (b"a\rb\n", ["a", "b", END], 1),  # a carriage return alone is a blank
        (b" a\t b\v\fc \n", ["a", "b", "c", END], 1),
        (b"\xef\xbb\xbfa b\n", ["a", "b", END], 1),  # byte-order mark
        (b"\xef\xbb\xbf", [END], 1),
        ("a\u00a0b \u2028 \x85x\n".encode(), ["a\u00a0b", "\u2028", "\x85x", END], 1),  # no ASCII blanks
        (b"<eos> <unk>\n", ["<eos>", "<unk>", END], 1),
    ],
)
def test_reading(tmp_path: Path, content: bytes, words: list[str], lines: int) -> None:
    assert read(write(tmp_path, content)) == (words, lines)


@settings(max_examples=50)
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
        ("a b\n".encode("utf-16"), "a byte that is not UTF-8 (0xff) in line 1, at byte offset 0"),
        (b"a b\n" * 9_999 + b"\x80\n", "a byte that is not UTF-8 (0x80) in line 10,000, at byte offset 39,996"),
        (b"\xef\xbb\xbfa \xfe\n", "a byte that is not UTF-8 (0xfe) in line 1, at byte offset 5"),
        (b"\xed\xa0\x80\n", "a byte that is not UTF-8 (0xed) in line 1, at byte offset 0"),  # half a surrogate pair
    ],
)
@pytest.mark.parametrize("chunk_bytes", [3, text.CHUNK_BYTES])
def test_a_byte_that_is_no_text_is_named_by_line_and_offset(
    tmp_path: Path, content: bytes, message: str, chunk_bytes: int
) -> None:
    path = write(tmp_path, content)
    with pytest.raises(CorpusError) as raised:
        read(path, chunk_bytes)
    assert str(raised.value) == (
        f"{path} has {message}: it is binary or in another encoding. Give plain text in UTF-8."
    )


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    text_file, pipe, link = write(tmp_path, b"a\n"), tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    empty = tmp_path / "empty.txt"
    empty.touch()
    for path, message in {
        tmp_path / "no.txt": "does not exist. Check the path.",
        tmp_path: "is a folder, pipe or device, but must be a file: it is read more than once.",
        pipe: "is a folder, pipe or device, but must be a file: it is read more than once.",
        link: "is a folder, pipe or device, but must be a file: it is read more than once.",
        empty: "is empty. Give a file with at least one word.",
        text_file / "b.txt": "cannot be read: Not a directory.",
    }.items():
        for reader in (read, text_sha256):
            with pytest.raises(CorpusError) as raised:
                reader(path)
            assert str(raised.value) == f"The text {path} {message}"


@pytest.mark.parametrize("chunk_bytes", [text.CHUNK_BYTES, 777_777])
def test_a_word_may_have_a_million_bytes_and_no_more(tmp_path: Path, chunk_bytes: int) -> None:
    path = write(tmp_path, b"\xef\xbb\xbfa b\nc " + b"x" * MAX_WORD_BYTES + b" d\n")
    words, lines = read(path, chunk_bytes)
    assert [len(word) for word in words] == [1, 1, 5, 1, MAX_WORD_BYTES, 1, 5]
    assert lines == 2
    path = write(tmp_path, b"a b\nc " + b"x" * (MAX_WORD_BYTES + 1) + b" d\n")
    with pytest.raises(CorpusError) as raised:
        read(path, chunk_bytes)
    assert str(raised.value) == (
        f"{path} has a word of more than 1,000,000 bytes in line 2. Separate words with spaces, as in "
        "`no , it was n't`."
    )


def peak_bytes(work: Callable[[Path], object], path: Path) -> int:
    tracemalloc.start()
    try:
        work(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("work", "unit"),
    [
        (lambda path: [None for _ in read_chunks(path)], b" "),
        (lambda path: [None for _ in read_chunks(path)], b"consumption\n"),
        (lambda path: write_ids(path, count_words(path), path.with_suffix(".npy")), b"some words of one line "),
    ],
    ids=["blanks", "lines", "encoding"],
)
def test_memory_does_not_grow_with_the_text(tmp_path: Path, work: Callable[[Path], object], unit: bytes) -> None:
    small, large = tmp_path / "small.txt", tmp_path / "large.txt"
    small.write_bytes(unit * (500_000 // len(unit)))
    large.write_bytes(unit * (1_500_000 // len(unit)))
    assert peak_bytes(work, large) < 1.1 * peak_bytes(work, small)


@pytest.mark.parametrize(
    ("byte", "message"), [(b"x", r"more than 1,000,000 bytes in line 2\."), (b"\0", "NUL .* line 2")]
)
def test_a_word_without_end_is_refused_before_it_fills_the_memory(tmp_path: Path, byte: bytes, message: str) -> None:
    def refused(path: Path) -> None:
        with pytest.raises(CorpusError, match=message):
            read(path)

    assert peak_bytes(refused, write(tmp_path, b"a\n" + byte * 30_000_000)) < 5 * MAX_WORD_BYTES


COUNTS = {"the": 5, "cat": 2, "a": 2, END: 3, "sat": 1, "Zoo": 1}
WORDS = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1)


def test_most_frequent_first_and_ties_by_the_word() -> None:
    vocabulary = Vocabulary.from_counts(COUNTS)
    assert vocabulary.words == ("the", END, "a", "cat", "Zoo", "sat", UNKNOWN)
    assert vocabulary.counts == (5, 3, 2, 2, 1, 1, 0)
    assert len(vocabulary) == 7
    assert (vocabulary.end_id, vocabulary.unknown_id) == (1, 6)
    assert vocabulary.ids(["the", "dog", "cat", UNKNOWN, END]) == [0, 6, 3, 6, 1]


def test_a_size_keeps_the_most_frequent_and_counts_the_rest_as_unknown() -> None:
    vocabulary = Vocabulary.from_counts({**COUNTS, UNKNOWN: 1}, size=4)
    assert vocabulary.words == (UNKNOWN, "the", END, "a")  # 1 + 2 + 1 + 1 unknown: a tie with "the"
    assert vocabulary.counts == (5, 5, 3, 2)
    assert Vocabulary.from_counts({"a": 9, "b": 8, "c": 7, END: 1}, size=3).words == (UNKNOWN, "a", END)
    assert Vocabulary.from_counts(COUNTS, size=99) == Vocabulary.from_counts(COUNTS)
    with pytest.raises(CorpusError, match="size is 2, but must be 3 or more"):
        Vocabulary.from_counts(COUNTS, size=2)


@given(st.dictionaries(WORDS, st.integers(1, 50)), st.none() | st.integers(3, 9))
def test_words_and_vocabularies_come_back(counts: dict[str, int], size: int | None) -> None:
    vocabulary = Vocabulary.from_counts(counts, size)
    assert [vocabulary.words[number] for number in vocabulary.ids(vocabulary.words)] == list(vocabulary.words)
    assert sum(vocabulary.counts) == sum(counts.values())
    again = Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json())))
    assert again == vocabulary
    assert again.sha256 == vocabulary.sha256


def test_the_sha256_changes_with_words_and_counts() -> None:
    hashes = {
        Vocabulary.from_counts(counts).sha256
        for counts in (COUNTS, {**COUNTS, "the": 6}, {**COUNTS, "dog": 1}, {**COUNTS, UNKNOWN: 1})
    }
    assert len(hashes) == 4


def changed(**fields: Any) -> dict[str, Any]:
    value = {**Vocabulary.from_counts(COUNTS).to_json(), **fields}
    return {name: field for name, field in value.items() if field is not None}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], r"not an object with words, counts and version 1 \(version: None\); prepare the corpus again"),
        (changed(version=2), r"not an object with words, counts and version 1 \(version: 2\)"),
        (changed(count=[1]), "not an object"),
        (changed(words=None), "not an object"),
        (changed(words=[1, 2]), "words is not a list of str"),
        (changed(counts=[True]), "counts is not a list of int"),
        (changed(counts=[5]), "7 words, but 1 counts"),
        (changed(words=[], counts=[]), "<unk> or <eos> is missing"),
        (changed(words=["the", "d", "a", "cat", "Zoo", "sat", UNKNOWN]), "<unk> or <eos> is missing"),
        (changed(words=["the", END, "a", "a", "Zoo", "sat", UNKNOWN]), "an empty or repeated word"),
        *(
            (changed(words=["the", END, "a", "cat", word, "sat", UNKNOWN]), "an empty or repeated word, or one with a")
            for word in ("", "a b", "a\n", "\ud800", "a\0")
        ),
        (changed(counts=[5, 3, 2, 2, 1, 1, -1]), "a count below zero, or not in order"),
        (changed(words=["the", END, "cat", "a", "Zoo", "sat", UNKNOWN]), "a count below zero, or not in order"),
    ],
)
def test_an_invalid_vocabulary(value: Any, reason: str) -> None:
    with pytest.raises(CorpusError, match=f"^Invalid vocabulary: {reason}"):
        Vocabulary.from_json(value)


LINES = st.lists(st.lists(st.sampled_from(["a", "b", "c", "é", "𝄞", UNKNOWN]), max_size=5), min_size=1, max_size=9)


@settings(max_examples=40)
@given(LINES, st.integers(3, 6) | st.none())
def test_ids_decode_to_the_text(
    tmp_path_factory: pytest.TempPathFactory, lines: list[list[str]], size: int | None
) -> None:
    path, target = tmp_path_factory.getbasetemp() / "a.txt", tmp_path_factory.getbasetemp() / "a.npy"
    path.write_text("".join(" ".join(line) + "\n" for line in [["a"], *lines]))
    vocabulary = count_words(path, size)
    counted = write_ids(path, vocabulary, target)
    known = [word if word in vocabulary.id_of else UNKNOWN for line in [["a"], *lines] for word in [*line, END]]
    assert [vocabulary.words[number] for number in np.load(target)] == known
    assert counted == {"words": len(known), "unknown": known.count(UNKNOWN), "lines": len(lines) + 1}
    assert np.bincount(np.load(target), minlength=len(vocabulary)).tolist() == list(vocabulary.counts)


@pytest.mark.parametrize(("distinct", "dtype"), [(65_534, np.uint16), (65_535, np.uint32)])
def test_the_type_of_ids_fits_the_vocabulary(tmp_path: Path, distinct: int, dtype: type) -> None:
    path = tmp_path / "a.txt"
    path.write_text(" ".join(f"w{number}" for number in range(distinct)))
    vocabulary = count_words(path)
    assert len(vocabulary) == distinct + 2
    write_ids(path, vocabulary, tmp_path / "a.npy")
    ids = np.load(tmp_path / "a.npy")
    assert ids.dtype == dtype
    assert [vocabulary.words[number] for number in ids[:3]] == ["w0", "w1", "w2"]
    assert ids.max() == distinct  # <unk>, of which there is none, is the last


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "temporary"


def test_a_file_becomes_ids_for_as_long_as_they_are_used(tmp_path: Path, temporary: Path) -> None:
    vocabulary = Vocabulary.from_counts(COUNTS)
    with ids_of_file(write(tmp_path, b"the cat\r\n\nsat on a"), vocabulary) as ids:
        assert isinstance(ids, np.memmap)
        assert ids.tolist() == vocabulary.ids(["the", "cat", END, END, "sat", UNKNOWN, "a", END])
        assert len(list(temporary.iterdir())) == 1
    assert list(temporary.iterdir()) == []


def test_a_full_disk_is_named_with_its_folder(tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_ids(path: Path, vocabulary: Vocabulary, target: Path) -> None:
        target.write_bytes(b"some")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(text, "write_ids", write_ids)
    message = f"a.txt cannot be written to {temporary}/tiedlm-.*: No space left on device. .* TMPDIR"
    with (
        pytest.raises(CorpusError, match=message),
        ids_of_file(write(tmp_path, b"a\n"), Vocabulary.from_counts(COUNTS)),
    ):
        pass
    assert list(temporary.iterdir()) == []
