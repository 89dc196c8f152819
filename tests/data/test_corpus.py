"""A config becomes a corpus: published counts, halves, texts of one's own, built corpora, and the cache."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tiedlm.data import builtin, synthetic
from tiedlm.data.corpus import RECORD, Corpus, cached_dir, prepare
from tiedlm.data.sources import (
    HALVES,
    PTB,
    SOURCES,
    SPLITS,
    WIKITEXT_2,
    CorpusConfig,
    source_of,
    training_words,
)
from tiedlm.data.text import END, UNKNOWN
from tiedlm.errors import CorpusError

TEXTS = {"train": "the cat sat\nthe dog sat\n", "valid": "the cow sat\n\n", "test": "the <unk> <eos> dog"}


@pytest.fixture
def config(tmp_path: Path) -> CorpusConfig:
    for split, text in TEXTS.items():
        (tmp_path / f"{split}.txt").write_text(text)
    train, valid, test = (str(tmp_path / f"{split}.txt") for split in SPLITS)
    return CorpusConfig(train=train, valid=valid, test=test)


def words(corpus: Corpus, split: str) -> list[str]:
    return [corpus.vocabulary.words[number] for number in corpus.splits[split].ids]


def fails(config: CorpusConfig, cache: Path, **options: Any) -> str:
    with pytest.raises(CorpusError) as raised:
        prepare(config, cache_dir=cache, **options)
    return str(raised.value)


def test_three_texts_become_ids(config: CorpusConfig, tmp_path: Path) -> None:
    progress: list[str] = []
    corpus = prepare(config, cache_dir=tmp_path / "cache", progress=progress.append)
    assert corpus.name == "text"
    assert corpus.vocabulary.words == (END, "sat", "the", "cat", "dog", UNKNOWN)
    assert words(corpus, "train") == ["the", "cat", "sat", END, "the", "dog", "sat", END]
    assert words(corpus, "valid") == ["the", UNKNOWN, "sat", END, END]
    assert words(corpus, "test") == ["the", UNKNOWN, END, "dog", END]
    counts = {split: (part.words, part.unknown, part.lines) for split, part in corpus.splits.items()}
    assert counts == {"train": (8, 0, 2), "valid": (5, 1, 2), "test": (5, 1, 1)}
    assert progress == [f"Counting the words of {config.train}", *(f"Encoding {corpus.texts[name]}" for name in SPLITS)]
    sha256 = "14efa33569de767297b44d9f902de5c8d797ae9f6cf27af1aa475bee30d01b2b"
    assert corpus.provenance["splits"]["train"] == {"text_sha256": sha256, "lines": 2, "words": 8, "unknown": 0}
    assert corpus.provenance["vocabulary"] == {"size": 6, "sha256": corpus.vocabulary.sha256}
    assert json.loads(json.dumps(corpus.provenance)) == corpus.provenance
    ids = corpus.splits["train"].ids
    assert isinstance(ids, np.memmap)
    assert ids.dtype == np.uint16
    with pytest.raises(ValueError, match="read-only"):
        ids[0] = 1


def test_the_cache_is_used_for_the_same_texts_and_size_only(config: CorpusConfig, tmp_path: Path) -> None:
    first = prepare(config, cache_dir=tmp_path / "cache")
    again = prepare(config, cache_dir=tmp_path / "cache", progress=pytest.fail)
    assert again.vocabulary == first.vocabulary
    assert words(again, "test") == words(first, "test")
    smaller = prepare(replace(config, vocabulary_size=4), cache_dir=tmp_path / "cache")
    assert smaller.vocabulary.words == (END, UNKNOWN, "sat", "the")
    assert smaller.splits["train"].unknown == 2
    (tmp_path / "test.txt").write_text("dog\n")
    assert words(prepare(config, cache_dir=tmp_path / "cache"), "test") == ["dog", END]


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_text_without_words_is_named_and_leaves_nothing_in_the_cache(
    config: CorpusConfig, tmp_path: Path, split: str
) -> None:
    path = tmp_path / f"{split}.txt"
    path.write_text("\n \n")
    message = f"The text {path} has no word in its 2 lines. Give a file with at least one word."
    assert fails(config, tmp_path / "cache") == message
    assert not list(tmp_path.glob("cache/encoded/*/*"))


def test_a_text_that_changes_while_it_is_read(config: CorpusConfig, tmp_path: Path) -> None:
    def append(line: str) -> None:
        with (tmp_path / "valid.txt").open("a") as file:
            file.write("more\n")

    message = fails(config, tmp_path / "cache", progress=append)
    assert message == f"The text {config.valid} changed while it was read. Try again when it is finished."


@pytest.mark.parametrize("module", [builtin, synthetic])
def test_a_corpus_that_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any) -> None:
    def build(folder: Path) -> dict[str, Any]:
        for split, text in TEXTS.items():
            (folder / f"{split}.txt").write_text(text)
        return {"seed": 7}

    monkeypatch.setattr(module, "build", build)
    monkeypatch.setattr(module, "RULE_VERSION", 3)
    name = module.__name__.rpartition(".")[2]
    progress: list[str] = []
    corpus = prepare(CorpusConfig(name=name), cache_dir=tmp_path, progress=progress.append)
    assert corpus.vocabulary.words == (END, "sat", "the", "cat", "dog", UNKNOWN)
    assert corpus.provenance["origin"] == {"seed": 7}
    folder = next(path for path in tmp_path.iterdir() if path.is_dir() and path.name.startswith(f"{name}-v3"))
    assert progress[0] == f"Building the corpus {name} in {folder}"
    assert ("python" in folder.name) == (name == "builtin")
    again = prepare(CorpusConfig(name=name), cache_dir=tmp_path, progress=pytest.fail)
    assert again.provenance == corpus.provenance


# lines, and words with one <eos> a line, as published
COUNTS = {
    "ptb": {"train": (42_068, 929_589), "valid": (3_370, 73_760), "test": (3_761, 82_430)},
    "wikitext-2": {"train": (36_718, 2_088_628), "valid": (3_760, 217_646), "test": (4_358, 245_569)},
}


@pytest.fixture(scope="module")
def corpora(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Corpus]:
    cache = tmp_path_factory.mktemp("corpora")
    names = ("ptb", "wikitext-2", *HALVES)
    corpora = {name: prepare(CorpusConfig(name=name), data_dir=data_dir, cache_dir=cache) for name in names}
    assert len(list(cache.glob("encoded/*/train.npy"))) == 2  # the halves are views of the whole
    return corpora


@pytest.mark.parametrize("name", SOURCES)
def test_a_published_corpus_counts_as_published(corpora: dict[str, Corpus], name: str) -> None:
    source, corpus = SOURCES[name], corpora[name]
    assert {split: (file.lines, file.scored_words) for split, file in source.files.items()} == COUNTS[name]
    assert {split: (part.lines, len(part.ids)) for split, part in corpus.splits.items()} == COUNTS[name]
    assert len(corpus.vocabulary) == source.vocab_size == {"ptb": 10_000, "wikitext-2": 33_278}[name]
    assert sum(corpus.vocabulary.counts) == COUNTS[name]["train"][1]
    assert corpus.vocabulary.counts[corpus.vocabulary.end_id] == COUNTS[name]["train"][0]
    assert corpus.provenance["origin"]["licence"] == source.licence


def test_the_halves_are_the_whole_cut_at_the_line_end_nearest_the_middle(corpora: dict[str, Corpus]) -> None:
    assert [source_of(name) for name in (*HALVES, "wikitext-2", "ptb", "text")] == [*[WIKITEXT_2] * 3, PTB, None]
    assert [training_words(name) for name in (*HALVES, "ptb", "text")] == [1_044_327, 1_044_301, 929_589, None]
    whole = corpora["wikitext-2"]
    ids = whole.splits["train"].ids
    assert np.array_equal(np.concatenate([corpora[name].splits["train"].ids for name in HALVES]), ids)
    ends = np.flatnonzero(ids == whole.vocabulary.end_id) + 1
    assert ends[np.abs(ends - len(ids) / 2).argmin()] == len(corpora["wikitext-2-half1"].splits["train"].ids)
    for name, lines in zip(HALVES, (18_367, 18_351), strict=True):
        half, train = corpora[name], corpora[name].splits["train"]
        assert half.vocabulary == whole.vocabulary
        assert train.lines == lines == np.count_nonzero(train.ids == half.vocabulary.end_id)
        assert train.unknown == np.count_nonzero(train.ids == half.vocabulary.unknown_id)
        provenance = half.provenance["splits"]
        assert provenance["train"]["text_sha256"] == WIKITEXT_2.files["train"].sha256
        assert (provenance["train"]["words"], provenance["train"]["lines"]) == (len(train.ids), lines)
        assert {**provenance, "train": None} == {**whole.provenance["splits"], "train": None}


def replace_record_by_pipe(folder: Path) -> None:
    (folder / RECORD).unlink()
    os.mkfifo(folder / RECORD)


@pytest.mark.parametrize(
    ("damage", "note"),
    [
        (
            lambda folder: (folder / "test.npy").write_bytes(b"\1"),
            "test.npy has another sha256 than when it was written.",
        ),
        (lambda folder: (folder / "train.npy").unlink(), "train.npy is missing."),
        (lambda folder: (folder / RECORD).write_text('{"version": 2}'), f"{RECORD} is not of version 1."),
        (lambda folder: (folder / RECORD).write_text("[]"), f"{RECORD} is not of version 1."),
        (lambda folder: (folder / RECORD).write_text("{"), f"{RECORD} is not readable as JSON"),
        (replace_record_by_pipe, f"{RECORD} is missing."),
    ],
)
def test_a_damaged_cache_is_made_again_with_a_note(
    config: CorpusConfig, tmp_path: Path, damage: Callable[[Path], object], note: str
) -> None:
    first = prepare(config, cache_dir=tmp_path / "cache")
    expected = [words(first, split) for split in SPLITS]
    (record,) = tmp_path.glob(f"cache/encoded/*/{RECORD}")
    damage(record.parent)
    notes: list[str] = []
    again = prepare(config, cache_dir=tmp_path / "cache", progress=notes.append)
    assert notes[0].startswith(f"{record.parent} is damaged and is made again: ")
    assert note in notes[0]
    assert [words(again, split) for split in SPLITS] == expected
    prepare(config, cache_dir=tmp_path / "cache", progress=pytest.fail)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_build_that_fails_leaves_nothing_and_what_a_killed_one_left_is_cleared(
    tmp_path: Path, error: BaseException
) -> None:
    def fail(folder: Path) -> dict[str, Any]:
        (folder / "a.txt").write_text("abc")
        raise error

    with pytest.raises((KeyboardInterrupt, CorpusError)) as raised:
        cached_dir(tmp_path / "y", fail, pytest.fail)
    if isinstance(error, OSError):
        assert str(raised.value) == (
            f"The folder {tmp_path / 'y'} cannot be made or read: No space left on device. Make room there, or set "
            "TIEDLM_CACHE_DIR to another folder."
        )
    assert {path.name for path in tmp_path.iterdir()} <= {"y.lock"}
    (tmp_path / "y.partial").mkdir()
    (tmp_path / "y.partial" / "old.txt").write_text("x")
    assert cached_dir(tmp_path / "y", lambda folder: {"files": len(list(folder.iterdir()))}, pytest.fail) == {
        "files": 0
    }
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["y"]


BUILD_SLOWLY = """
import sys, time
from pathlib import Path
from tiedlm.data.corpus import cached_dir

def build(folder):
    with (folder.parent / "built").open("a") as file:
        file.write("x")
    time.sleep(0.2)
    (folder / "a.txt").write_text("abc")
    return {"words": 1}

assert cached_dir(Path(sys.argv[1]), build, print) == {"words": 1}
"""


def test_processes_that_ask_at_once_build_it_once(tmp_path: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", BUILD_SLOWLY, str(tmp_path / "y")]) for _ in range(2)]
    assert [process.wait() for process in processes] == [0] * 2
    assert (tmp_path / "built").read_text() == "x"
