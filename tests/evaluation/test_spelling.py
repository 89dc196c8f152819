from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tiedlm.data.corpus import Corpus, Split
from tiedlm.data.sources import HALVES
from tiedlm.data.text import Vocabulary
from tiedlm.errors import CorpusError
from tiedlm.evaluation.lines import WordScore
from tiedlm.evaluation.spelling import spelled_scores, spelled_words, split_words

VOCABULARY = Vocabulary.from_counts({"the": 3, "dog": 2, "<eos>": 1, "<unk>": 0})
TEXT = "the wug\n<unk> dog"
WORDS = ["the", "wug", "<eos>", "<unk>", "dog", "<eos>"]


def scores(words: list[str]) -> list[WordScore]:
    return [WordScore(1, place, number, 0.5) for place, number in enumerate(VOCABULARY.ids(words), 1)]


def test_words_are_spelled_as_in_the_text_and_unknown_ones_marked(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    found = list(spelled_scores(scores(WORDS), spelled_words(tmp_path / "a.txt"), VOCABULARY))
    assert [one.word for one in found] == WORDS
    assert [one.unknown for one in found] == [False, True, False, True, False, False]
    assert [(one.line, one.place, one.nll_nats) for one in found] == [(1, place, 0.5) for place in range(1, 7)]


@pytest.mark.parametrize("words", [["the", "dog"], ["the", "wug", "dog"]])
def test_a_text_that_was_changed_in_the_meantime_is_an_error(words: list[str]) -> None:
    with pytest.raises(CorpusError, match=r"changed while it was scored, in line 1\."):
        list(spelled_scores(scores(["the", "wug", "<eos>"]), iter(words), VOCABULARY))


def test_of_a_part_only_the_training_words_of_its_stretch(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\n" * (HALVES["wikitext-2-half1"].stop // 2) + "b c d")
    splits: dict[str, Split] = dict.fromkeys(("train", "test"), Split(ids=np.zeros(1), words=1, unknown=0, lines=1))
    corpus = Corpus("wikitext-2-half2", VOCABULARY, splits, dict.fromkeys(splits, tmp_path / "a.txt"), {})
    assert HALVES["wikitext-2-half1"].stop % 2 == 1
    assert list(split_words(corpus, "train")) == ["c", "d", "<eos>"]
    assert next(split_words(corpus, "test")) == "a"
