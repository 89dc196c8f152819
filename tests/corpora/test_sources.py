from __future__ import annotations

from pathlib import Path

import pytest

from tiedlm.corpora.config import CORPUS_NAMES
from tiedlm.corpora.encode import SPLITS
from tiedlm.corpora.sources import SOURCES, Source
from tiedlm.corpora.text import text_sha256

EVERY_SOURCE = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
# lines, words, words with one <eos> a line, as published
COUNTS = {
    "ptb": {
        "train": (42_068, 887_521, 929_589),
        "valid": (3_370, 70_390, 73_760),
        "test": (3_761, 78_669, 82_430),
    },
    "wikitext-2": {
        "train": (36_718, 2_051_910, 2_088_628),
        "valid": (3_760, 213_886, 217_646),
        "test": (4_358, 241_211, 245_569),
    },
}


def test_sources_are_corpora_under_their_own_name() -> None:
    assert set(SOURCES) == set(COUNTS)
    assert set(SOURCES) < set(CORPUS_NAMES)
    assert all(source.name == name for name, source in SOURCES.items())


@EVERY_SOURCE
def test_the_published_counts(source: Source) -> None:
    counts = {split: (file.lines, file.words, file.words_and_ends) for split, file in source.files.items()}
    assert counts == COUNTS[source.name]
    assert source.types == {"ptb": 10_000, "wikitext-2": 33_278}[source.name]


@EVERY_SOURCE
def test_a_source_is_complete(source: Source) -> None:
    assert tuple(source.files) == SPLITS
    hashes = [file.sha256 for file in source.files.values()] + [source.archive_sha256 or "0" * 64]
    assert all(len(sha256) == 64 and int(sha256, 16) >= 0 for sha256 in hashes)
    assert len(set(hashes)) == 4
    assert all(file.address.startswith("https://") for file in source.files.values())
    last = {"ptb": "/ptb.{}.txt", "wikitext-2": "/wikitext-2-v1.zip"}[source.name]
    assert all(file.address.endswith(last.format(split)) for split, file in source.files.items())
    assert all((file.member is None) == (source.archive_sha256 is None) for file in source.files.values())
    assert all(file.names[0].startswith(f"{source.name}/") for file in source.files.values())
    assert not any(Path(name).is_absolute() or ".." in name for file in source.files.values() for name in file.names)


def test_licences_are_named() -> None:
    assert "LDC" in SOURCES["ptb"].licence
    assert "CC BY-SA 3.0" in SOURCES["wikitext-2"].licence


@EVERY_SOURCE
def test_sizes_and_checksums_are_those_of_the_files(source: Source, data_dir: Path) -> None:
    for file in source.files.values():
        path = next(data_dir / name for name in file.names if (data_dir / name).is_file())
        assert path.stat().st_size == file.size_bytes
        assert text_sha256(path) == file.sha256
