from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiedlm.corpora.encode import SPLITS, Encoded, count_words, encode, text_ids, write_ids
from tiedlm.corpora.text import END, UNKNOWN
from tiedlm.corpora.vocabulary import Vocabulary
from tiedlm.errors import CorpusError

TEXTS = {"train": "the cat sat\nthe dog sat\n", "valid": "the cow sat\n\n", "test": "the <unk> <eos> dog"}
LINES = st.lists(st.lists(st.sampled_from(["a", "b", "c", "é", "𝄞", UNKNOWN]), max_size=5), min_size=1, max_size=9)


@pytest.fixture
def texts(tmp_path: Path) -> dict[str, Path]:
    for split, text in TEXTS.items():
        (tmp_path / f"{split}.txt").write_text(text)
    return {split: tmp_path / f"{split}.txt" for split in SPLITS}


def ask(texts: dict[str, Path], size: int | None = None) -> tuple[Encoded, list[str], list[str]]:
    progress, damaged = [], []
    cache = texts["train"].parent / "cache"
    return encode(texts, size, cache, progress.append, damaged.append), progress, damaged


def words(encoded: Encoded, split: str) -> list[str]:
    return [encoded.vocabulary.words[number] for number in encoded.splits[split].ids]


def test_three_texts_become_ids(texts: dict[str, Path]) -> None:
    encoded, progress, damaged = ask(texts)
    assert encoded.vocabulary.words == (END, "sat", "the", "cat", "dog", UNKNOWN)
    assert words(encoded, "train") == ["the", "cat", "sat", END, "the", "dog", "sat", END]
    assert words(encoded, "valid") == ["the", UNKNOWN, "sat", END, END]
    assert words(encoded, "test") == ["the", UNKNOWN, END, "dog", END]
    counts = {split: (found.words, found.unknown, found.lines) for split, found in encoded.splits.items()}
    assert counts == {"train": (8, 0, 2), "valid": (5, 1, 2), "test": (5, 1, 1)}
    assert progress == [
        f"Counting the words of {texts['train']}",
        *(f"Encoding {texts[split]}" for split in SPLITS),
    ]
    assert damaged == []


def test_the_arrays_are_mapped_and_read_only(texts: dict[str, Path]) -> None:
    ids = ask(texts)[0].splits["train"].ids
    assert isinstance(ids, np.memmap)
    assert ids.dtype == np.uint16
    with pytest.raises(ValueError, match="read-only"):
        ids[0] = 1


def test_the_cache_is_used_for_the_same_texts_and_size_only(texts: dict[str, Path]) -> None:
    first, _, _ = ask(texts)
    again, progress, _ = ask(texts)
    assert progress == []
    assert again.vocabulary == first.vocabulary
    assert words(again, "test") == words(first, "test")
    smaller, progress, _ = ask(texts, size=4)
    assert len(progress) == 4
    assert smaller.vocabulary.words == (END, UNKNOWN, "sat", "the")
    assert smaller.splits["train"].unknown == 2
    texts["test"].write_text("dog\n")
    assert words(ask(texts)[0], "test") == ["dog", END]


@pytest.mark.parametrize("name", ["train.npy", "valid.npy", "test.npy", "vocabulary.json", "record.json"])
def test_a_damaged_cache_is_made_anew_and_never_used(texts: dict[str, Path], name: str) -> None:
    first, _, _ = ask(texts)
    expected = [words(first, split) for split in SPLITS]
    path = next((texts["train"].parent / "cache").glob(f"encoded/*/{name}"))
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)
    again, progress, damaged = ask(texts)
    assert len(damaged) == 1
    assert damaged[0].startswith(f"{path.parent} is damaged and is made anew: ")
    assert f"{name} " in damaged[0]
    assert len(progress) == 4
    assert again.vocabulary == first.vocabulary
    assert [words(again, split) for split in SPLITS] == expected


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("text", ["\n \n", " "])
def test_a_text_without_a_word(texts: dict[str, Path], split: str, text: str) -> None:
    texts[split].write_text(text)
    with pytest.raises(CorpusError) as raised:
        ask(texts)
    lines = text.count("\n") or 1
    assert str(raised.value) == (
        f"The text {texts[split]} has no word in its {lines} lines. Give a file with at least one word."
    )
    assert not list(texts["train"].parent.glob("cache/encoded/*/*"))


@pytest.mark.parametrize("split", SPLITS)
def test_a_missing_text_is_named_before_any_work(texts: dict[str, Path], split: str) -> None:
    texts[split].unlink()
    with pytest.raises(CorpusError) as raised:
        ask(texts)
    assert str(raised.value) == f"The text {texts[split]} does not exist. Check the path."
    assert not (texts["train"].parent / "cache").exists()


@pytest.mark.parametrize("split", SPLITS)
def test_a_binary_text_leaves_nothing_in_the_cache(texts: dict[str, Path], split: str) -> None:
    texts[split].write_bytes(b"a b\nc \0\n")
    with pytest.raises(CorpusError, match=rf"{split}\.txt has a NUL byte \(0x00\) in line 2, at byte offset 6"):
        ask(texts)
    assert not list(texts["train"].parent.glob("cache/encoded/*/*"))


def test_a_text_that_changes_while_it_is_read(texts: dict[str, Path]) -> None:
    def append(line: str) -> None:
        with texts["valid"].open("a") as file:
            file.write("more\n")

    with pytest.raises(CorpusError) as raised:
        encode(texts, None, texts["train"].parent / "cache", append, append)
    assert str(raised.value) == f"The text {texts['valid']} changed while it was read. Try again when it is finished."


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


def test_the_ids_of_a_text_in_another_vocabulary(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("b a\nc")
    vocabulary = Vocabulary.from_counts({"a": 9, "b": 8, END: 1})
    found = list(text_ids(path, vocabulary))
    assert [number for ids, _ in found for number in ids] == vocabulary.ids(["b", "a", END, "c", END])
    assert sum(lines for _, lines in found) == 2


def peak_bytes(path: Path) -> int:
    tracemalloc.start()
    try:
        write_ids(path, count_words(path), path.with_suffix(".npy"))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_text(tmp_path: Path) -> None:
    small, large = tmp_path / "small.txt", tmp_path / "large.txt"
    small.write_text("some words of one line " * 40_000)
    large.write_text("some words of one line " * 80_000)
    assert peak_bytes(large) < 1.1 * peak_bytes(small)


@pytest.mark.parametrize(
    ("name", "names", "types", "counts"),
    [
        (
            "ptb",
            ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"),
            10_000,
            [(42_068, 929_589), (3_370, 73_760), (3_761, 82_430)],
        ),
        (
            "wikitext-2",
            ("train.txt", "valid.txt", "test.txt"),
            33_278,
            [(36_718, 2_088_628), (3_760, 217_646), (4_358, 245_569)],
        ),
    ],
)
def test_the_published_counts(
    data_dir: Path, tmp_path: Path, name: str, names: tuple[str, ...], types: int, counts: list[tuple[int, int]]
) -> None:
    texts = {split: data_dir / name / file for split, file in zip(SPLITS, names, strict=True)}
    encoded = encode(texts, None, tmp_path, lambda line: None, lambda line: None)
    assert [(encoded.splits[split].lines, encoded.splits[split].words) for split in SPLITS] == counts
    assert [len(encoded.splits[split].ids) for split in SPLITS] == [words for _, words in counts]
    assert len(encoded.vocabulary) == types
    assert sum(encoded.vocabulary.counts) == counts[0][1]
    assert encoded.vocabulary.counts[encoded.vocabulary.end_id] == counts[0][0]
