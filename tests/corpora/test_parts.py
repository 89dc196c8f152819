"""The halves of WikiText-2's training text: where they are cut, and what is around the cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tiedlm.corpora.config import CORPUS_NAMES, CorpusConfig
from tiedlm.corpora.parts import MIDDLE, PARTS, source_of, training_words
from tiedlm.corpora.prepare import Corpus, prepare
from tiedlm.corpora.sources import PTB, SOURCES, WIKITEXT_2

HALVES = ("wikitext-2-half1", "wikitext-2-half2")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("halves")


@pytest.fixture(scope="module")
def corpora(data_dir: Path, cache: Path) -> dict[str, Corpus]:
    names = ("wikitext-2", *HALVES)
    return {name: prepare(CorpusConfig(name=name), data_dir=data_dir, cache_dir=cache) for name in names}


def test_the_halves_are_corpora_of_their_own_and_no_sources() -> None:
    assert tuple(PARTS) == HALVES
    assert set(HALVES) <= set(CORPUS_NAMES)
    assert not set(PARTS) & set(SOURCES)


def test_each_name_leads_to_its_source_and_its_training_words() -> None:
    assert [source_of(name) for name in (*HALVES, "wikitext-2", "ptb")] == [*[WIKITEXT_2] * 3, PTB]
    assert source_of("builtin") is None
    assert [training_words(name) for name in HALVES] == [1_044_327, 1_044_301]
    assert [training_words(name) for name in ("wikitext-2", "ptb", "text")] == [2_088_628, 929_589, None]


def test_the_parts_are_the_whole_without_gap_or_overlap() -> None:
    first, second = PARTS.values()
    whole = WIKITEXT_2.files["train"]
    assert (first.start, first.stop, second.stop) == (0, second.start, whole.words_and_ends)
    assert first.lines + second.lines == whole.lines


def test_counts_are_those_of_the_text(corpora: dict[str, Corpus]) -> None:
    counts = {name: (split := corpora[name].splits["train"]) and (split.lines, split.words) for name in HALVES}
    assert counts == {"wikitext-2-half1": (18_367, 1_044_327), "wikitext-2-half2": (18_351, 1_044_301)}
    for corpus in corpora.values():
        train, end, unknown = corpus.splits["train"], corpus.vocabulary.end_id, corpus.vocabulary.unknown_id
        assert len(train.ids) == train.words
        assert np.count_nonzero(train.ids == end) == train.lines
        assert np.count_nonzero(train.ids == unknown) == train.unknown


def test_the_cut_is_the_line_end_nearest_the_middle(corpora: dict[str, Corpus]) -> None:
    ids = corpora["wikitext-2"].splits["train"].ids
    ends = np.flatnonzero(ids == corpora["wikitext-2"].vocabulary.end_id) + 1
    assert ends[np.abs(ends - len(ids) / 2).argmin()] == MIDDLE


def test_one_after_the_other_they_are_the_whole_text(corpora: dict[str, Corpus]) -> None:
    halves = [corpora[name].splits["train"].ids for name in HALVES]
    assert np.array_equal(np.concatenate(halves), corpora["wikitext-2"].splits["train"].ids)


@pytest.mark.parametrize("name", HALVES)
def test_vocabulary_valid_and_test_are_the_whole_ones(corpora: dict[str, Corpus], name: str) -> None:
    half, whole = corpora[name], corpora["wikitext-2"]
    assert len(half.vocabulary) == 33_278
    assert half.vocabulary == whole.vocabulary
    assert [half.splits[split].words for split in ("valid", "test")] == [217_646, 245_569]
    assert {split: half.provenance["splits"][split] for split in ("valid", "test")} == {
        split: whole.provenance["splits"][split] for split in ("valid", "test")
    }


@pytest.mark.parametrize("name", HALVES)
def test_provenance_has_the_parts_counts_and_the_whole_texts_checksum(corpora: dict[str, Corpus], name: str) -> None:
    told, split = corpora[name].provenance, corpora[name].splits["train"]
    assert told["name"] == name
    assert told["splits"]["train"] == {
        "text_sha256": WIKITEXT_2.files["train"].sha256,
        "lines": split.lines,
        "words": split.words,
        "unknown": split.unknown,
    }


def test_the_ids_are_encoded_once(corpora: dict[str, Corpus], cache: Path) -> None:
    assert corpora
    assert len(list(cache.glob("encoded/*/train.npy"))) == 1
