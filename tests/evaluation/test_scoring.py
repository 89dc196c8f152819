"""Scores of lines and words, the corpus of a run, and splits in the words of the training text."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from support.run_folders import write_run
from support.small_text import write_texts
from support.stub_model import BigramModel
from tiedlm.data.corpus import Corpus, Split, prepare
from tiedlm.data.sources import HALVES
from tiedlm.data.text import Vocabulary
from tiedlm.errors import CorpusError, RunError
from tiedlm.evaluation.perplexity import perplexity, word_nlls
from tiedlm.evaluation.scoring import (
    LineScore,
    check_same_corpus,
    file_words,
    line_scores,
    run_corpus,
    split_words,
    unseen_as_unk,
    unseen_as_unk_score,
    word_scores,
)
from tiedlm.recipes import recipe

EOS, UNK = 0, 6
IDS = np.array([3, 0, 0, 1, 6, 2, 0, 5, 6, 6, 0, 0])
LENGTHS = [2, 1, 4, 4, 1]
UNKNOWN = [0, 0, 1, 2, 0]


def spelled(vocabulary):
    """The words of the text; those that the vocabulary lacks are spelled `wug`."""
    return iter("wug" if number == UNK else vocabulary.words[number] for number in IDS)


def windows(model, steps, ids=IDS):
    return word_nlls(model, ids, end_id=EOS, window_steps=steps)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 12, 100])
def test_lines_are_the_same_however_windows_cut_them(lstm, steps):
    found = list(line_scores(windows(lstm, steps), end_id=EOS, unknown_id=UNK))
    whole = torch.cat([nll for _, nll in windows(lstm, 100)])
    assert [line.line for line in found] == [1, 2, 3, 4, 5]
    assert [line.words for line in found] == LENGTHS
    assert [line.unknown for line in found] == UNKNOWN
    expected = [float(part.sum()) for part in whole.split(LENGTHS)]
    assert [line.nll_nats for line in found] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("steps", [1, 5, 100])
def test_words_have_their_line_place_and_score(lstm, vocabulary, steps):
    found = list(word_scores(windows(lstm, steps), spelled(vocabulary), vocabulary))
    places = [(line, place) for line, length in enumerate(LENGTHS, 1) for place in range(1, length + 1)]
    assert [(word.line, word.place) for word in found] == places
    assert [word.word for word in found] == list(spelled(vocabulary))
    assert [word.unknown for word in found] == (IDS == UNK).tolist()
    whole = torch.cat([nll for _, nll in windows(lstm, 100)])
    assert [word.nll_nats for word in found] == pytest.approx(whole.tolist(), rel=1e-6)


def test_both_sum_to_the_score_of_the_text(lstm, vocabulary):
    total = perplexity(lstm, IDS, end_id=EOS, unknown_id=UNK).nll_nats
    lines = line_scores(windows(lstm, 4), end_id=EOS, unknown_id=UNK)
    words = word_scores(windows(lstm, 4), spelled(vocabulary), vocabulary)
    assert math.fsum(line.nll_nats for line in lines) == pytest.approx(total, rel=1e-6)
    assert math.fsum(word.nll_nats for word in words) == pytest.approx(total, rel=1e-6)


def test_a_last_line_without_its_end_counts(lstm):
    found = list(line_scores(windows(lstm, 2, IDS[:6]), end_id=EOS, unknown_id=UNK))
    assert [line.words for line in found] == [2, 1, 3]


def test_the_perplexity_of_a_line():
    assert LineScore(line=1, words=4, unknown=0, nll_nats=4 * math.log(7)).perplexity == pytest.approx(7)


def test_one_window_is_read_at_a_time(lstm, vocabulary):
    read = []

    def watched():
        for window in windows(lstm, 3):
            read.append(window)
            yield window

    lines = line_scores(watched(), end_id=EOS, unknown_id=UNK)
    next(lines)
    assert len(read) == 1
    words = word_scores(watched(), spelled(vocabulary), vocabulary)
    next(words)
    assert len(read) == 2


VOCABULARY = Vocabulary.from_counts({"the": 3, "dog": 2, "<eos>": 1, "<unk>": 0})
TEXT = "the wug\n<unk> dog"
WORDS = ["the", "wug", "<eos>", "<unk>", "dog", "<eos>"]


def scored(words: list[str]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(torch.tensor(VOCABULARY.ids(words)), torch.full((len(words),), 0.5))]


def test_words_are_spelled_as_in_the_text_and_unknown_ones_marked(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    rows = list(word_scores(scored(WORDS), file_words(tmp_path / "a.txt"), VOCABULARY))
    assert [row.word for row in rows] == WORDS
    assert [row.unknown for row in rows] == [False, True, False, True, False, False]
    places = [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
    assert [(row.line, row.place, row.nll_nats) for row in rows] == [(*place, 0.5) for place in places]


@pytest.mark.parametrize("words", [["the", "dog"], ["the", "wug", "dog"]])
def test_a_text_that_was_changed_in_the_meantime_is_an_error(words: list[str]) -> None:
    with pytest.raises(CorpusError, match=r"changed while it was scored, in line 1\."):
        list(word_scores(scored(["the", "wug", "<eos>"]), iter(words), VOCABULARY))


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
    found = unseen_as_unk(corpus, "test")
    assert found.tolist() == expected
    assert found.dtype == corpus.splits["test"].ids.dtype


def test_the_score_is_that_of_the_text_so_read(corpus: Corpus) -> None:
    words = len(corpus.vocabulary)
    probabilities = torch.rand(words, words, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.1
    model = BigramModel(probabilities / probabilities.sum(1, keepdim=True))
    ids = {"end_id": corpus.vocabulary.end_id, "unknown_id": corpus.vocabulary.unknown_id}
    found = unseen_as_unk_score(model, corpus, "valid")
    assert found == perplexity(model, unseen_as_unk(corpus, "valid"), **ids)
    plain = perplexity(model, corpus.splits["valid"].ids, **ids)
    assert (found.words, plain.unknown) == (plain.words, 0)
    seen = np.isin(corpus.splits["valid"].ids, corpus.splits["train"].ids)
    assert found.unknown == np.count_nonzero(~seen)
    assert found.perplexity != pytest.approx(plain.perplexity, rel=1e-3)


def test_a_text_without_such_words_is_refused(corpus: Corpus) -> None:
    with pytest.raises(CorpusError, match="the corpus 'text' has every word that the model reads in its train split"):
        unseen_as_unk(corpus, "train")


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.fixture
def run(folder):
    """A run folder with what a training writes into it before it begins."""
    config = write_texts(folder)
    corpus = prepare(config, cache_dir=folder / "cache")
    config = replace(recipe("ptb-small-re"), corpus=config)
    return write_run(folder / "run", config, vocabulary=corpus.vocabulary, corpus=corpus.provenance)


def test_the_corpus_of_a_run_is_found_again(run, folder):
    corpus = run_corpus(run, cache_dir=folder / "cache")
    assert corpus.vocabulary == run.vocabulary()
    elsewhere = run_corpus(run, cache_dir=folder / "cache2")
    assert elsewhere.splits["test"].ids.tolist() == corpus.splits["test"].ids.tolist()


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_text_that_has_changed_is_named_with_its_path_and_both_checksums(run, folder, split):
    path, before = folder / f"{split}.txt", run.record.corpus["splits"][split]["text_sha256"]
    path.write_text("the cat likes a tree\n")
    with pytest.raises(RunError) as raised:
        run_corpus(run, cache_dir=folder / "cache")
    told = str(raised.value)
    assert f"The {split} text of the corpus 'text', {path}, has changed since {run.path} was trained" in told
    assert f"its sha256 was {before} and is now {hashlib.sha256(path.read_bytes()).hexdigest()}." in told


@pytest.mark.parametrize(
    ("name", "advice"),
    [("text", "Put the text of then back"), ("wikitext-2-half1", "--data-dir DIR"), ("builtin", "versions of Python")],
)
def test_the_advice_on_a_text_that_has_changed_is_one_that_its_corpus_allows(run, folder, name, advice):
    corpus = replace(prepare(write_texts(folder), cache_dir=folder / "cache"), name=name)
    corpus.provenance["splits"]["valid"]["text_sha256"] = "of now"
    with pytest.raises(RunError, match=advice) as raised:
        check_same_corpus(run, corpus)
    assert ("--data-dir" in str(raised.value)) == (name == "wikitext-2-half1")


def test_another_stretch_of_the_same_text_is_named(run, folder):
    corpus = prepare(write_texts(folder), cache_dir=folder / "cache")
    corpus.provenance["splits"]["train"]["words"] -= 1
    with pytest.raises(RunError, match=r"read in another way .* \(splits: "):
        check_same_corpus(run, corpus)


def test_a_text_that_is_gone_is_named(run, folder):
    (folder / "valid.txt").unlink()
    with pytest.raises(CorpusError, match=r"valid\.txt does not exist"):
        run_corpus(run, cache_dir=folder / "cache")


def test_another_vocabulary_from_the_same_text_is_named(run, folder):
    config = run.config()
    config = replace(config, corpus=replace(config.corpus, vocabulary_size=9))
    copy = write_run(folder / "copy", config, vocabulary=run.vocabulary(), corpus=run.record.corpus)
    with pytest.raises(RunError, match=r"read in another way than when .* \(vocabulary: "):
        run_corpus(copy, cache_dir=folder / "cache")
