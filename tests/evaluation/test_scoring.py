"""Scores of lines and words, the corpus of a run, and splits in the words of the training text."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from support.layers import BigramModel
from support.runs import write_run
from support.small_text import write_texts
from tiedlm.data.corpus import Corpus, Split, prepare
from tiedlm.data.sources import HALVES
from tiedlm.data.text import Vocabulary
from tiedlm.errors import CorpusError, RunError
from tiedlm.evaluation.perplexity import perplexity, word_nlls
from tiedlm.evaluation.scoring import (
    line_scores,
    split_words,
    unseen_as_unk,
    unseen_as_unk_score,
    word_scores,
)
from tiedlm.recipes import recipe
from tiedlm.runs.load import check_same_corpus

EOS, UNK = 0, 6
IDS = np.array([3, 0, 0, 1, 6, 2, 0, 5, 6, 6, 0, 0])
LENGTHS = [2, 1, 4, 4, 1]
UNKNOWN = [0, 0, 1, 2, 0]


def spelled(vocabulary):
    """The words of the text; those that the vocabulary lacks are spelled `wug`."""
    return iter("wug" if number == UNK else vocabulary.words[number] for number in IDS)


def windows(model, steps, ids=IDS):
    return word_nlls(model, ids, end_id=EOS, window_steps=steps)


@pytest.mark.parametrize("steps", [1, 3])
def test_lines_are_the_same_however_windows_cut_them(lstm, steps):
    rows = list(line_scores(windows(lstm, steps), end_id=EOS, unknown_id=UNK))
    whole = torch.cat([nll for _, nll in windows(lstm, 100)])
    assert [line.line for line in rows] == [1, 2, 3, 4, 5]
    assert [line.words for line in rows] == LENGTHS
    assert [line.unknown for line in rows] == UNKNOWN
    expected = [float(part.sum()) for part in whole.split(LENGTHS)]
    assert [line.nll_nats for line in rows] == pytest.approx(expected, rel=1e-6)
    assert rows[2].perplexity == pytest.approx(math.exp(expected[2] / 4), rel=1e-6)


@pytest.mark.parametrize("steps", [1, 5])
def test_words_have_their_line_place_and_score(lstm, vocabulary, steps):
    rows = list(word_scores(windows(lstm, steps), spelled(vocabulary), vocabulary))
    places = [(line, place) for line, length in enumerate(LENGTHS, 1) for place in range(1, length + 1)]
    assert [(word.line, word.place) for word in rows] == places
    assert [word.word for word in rows] == list(spelled(vocabulary))
    assert [word.unknown for word in rows] == (IDS == UNK).tolist()
    whole = torch.cat([nll for _, nll in windows(lstm, 100)])
    assert [word.nll_nats for word in rows] == pytest.approx(whole.tolist(), rel=1e-6)


VOCABULARY = Vocabulary.from_counts({"the": 3, "dog": 2, "<eos>": 1, "<unk>": 0})


@pytest.mark.parametrize("words", [["the", "dog"], ["the", "wug", "dog"]])
def test_a_text_that_was_changed_in_the_meantime_is_an_error(words: list[str]) -> None:
    scored = [(torch.tensor(VOCABULARY.ids(["the", "wug", "<eos>"])), torch.full((3,), 0.5))]
    with pytest.raises(CorpusError, match=r"changed while it was scored, in line 1\."):
        list(word_scores(scored, iter(words), VOCABULARY))


def test_of_a_part_only_the_training_words_of_its_stretch(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\n" * (HALVES["wikitext-2-half1"].stop // 2) + "b c d")
    splits: dict[str, Split] = dict.fromkeys(("train", "test"), Split(ids=np.zeros(1), words=1, unknown=0, lines=1))
    corpus = Corpus("wikitext-2-half2", VOCABULARY, splits, dict.fromkeys(splits, tmp_path / "a.txt"), {})
    assert HALVES["wikitext-2-half1"].stop % 2 == 1
    assert list(split_words(corpus, "train")) == ["c", "d", "<eos>"]
    assert next(split_words(corpus, "test")) == "a"


PART = 40
"""Words of the training text that are left."""


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """One whose training text is the beginning of the whole one's, as that of a half is."""
    whole = prepare(write_texts(tmp_path), cache_dir=tmp_path / "cache")
    train = whole.splits["train"]
    return replace(whole, splits=whole.splits | {"train": replace(train, ids=train.ids[:PART], words=PART)})


def test_words_that_the_part_lacks_are_unknown_and_the_others_stay(corpus: Corpus) -> None:
    vocabulary = corpus.vocabulary
    text = [vocabulary.words[number] for number in corpus.splits["test"].ids]
    known = {vocabulary.words[number] for number in corpus.splits["train"].ids}
    assert 0 < len(set(text) - known) < len(set(text))
    expected = vocabulary.ids(word if word in known else "<unk>" for word in text)
    ids = unseen_as_unk(corpus, "test")
    assert ids.tolist() == expected
    assert ids.dtype == corpus.splits["test"].ids.dtype


def test_the_score_is_that_of_the_text_so_read(corpus: Corpus) -> None:
    words = len(corpus.vocabulary)
    probabilities = torch.rand(words, words, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.1
    model = BigramModel(probabilities / probabilities.sum(1, keepdim=True))
    ids = {"end_id": corpus.vocabulary.end_id, "unknown_id": corpus.vocabulary.unknown_id}
    score = unseen_as_unk_score(model, corpus, "valid")
    assert score == perplexity(model, unseen_as_unk(corpus, "valid"), **ids)
    plain = perplexity(model, corpus.splits["valid"].ids, **ids)
    assert (score.words, plain.unknown) == (plain.words, 0)
    seen = np.isin(corpus.splits["valid"].ids, corpus.splits["train"].ids)
    assert score.unknown == np.count_nonzero(~seen)
    assert score.perplexity != pytest.approx(plain.perplexity, rel=1e-3)


@pytest.fixture
def run(tmp_path):
    """A run folder with what a training writes into it before it begins."""
    config = write_texts(tmp_path)
    corpus = prepare(config, cache_dir=tmp_path / "cache")
    config = replace(recipe("ptb-small-re"), corpus=config)
    return write_run(tmp_path / "run", config, vocabulary=corpus.vocabulary, corpus=corpus.provenance)


@pytest.mark.parametrize(
    ("name", "advice"),
    [("text", "Put the text of then back"), ("wikitext-2-half1", "--data-dir DIR"), ("builtin", "versions of Python")],
)
def test_a_text_that_has_changed_is_named_with_both_checksums_and_what_its_corpus_allows(run, tmp_path, name, advice):
    corpus = replace(prepare(write_texts(tmp_path), cache_dir=tmp_path / "cache"), name=name)
    valid = corpus.provenance["splits"]["valid"]
    before, valid["text_sha256"] = valid["text_sha256"], "of now"
    with pytest.raises(RunError, match=advice) as raised:
        check_same_corpus(run, corpus)
    message = str(raised.value)
    assert f"The valid text of the corpus {name!r}, {tmp_path}/valid.txt, has changed since {run.path} was" in message
    assert f"its sha256 was {before} and is now of now." in message
    assert ("--data-dir" in message) == (name == "wikitext-2-half1")
