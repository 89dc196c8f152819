"""What is measured of a run, on a small one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.tiny_run import train_tiny_run
from tiedlm.checkpoint.load import load_run
from tiedlm.errors import RunError
from tiedlm.evaluation.measures import everywhere
from tiedlm.evaluation.next_words import next_words
from tiedlm.evaluation.own_words import own_words_score
from tiedlm.evaluation.run_corpus import run_corpus
from tiedlm.paper import measurement
from tiedlm.paper.measured import NEAR, check_analysis
from tiedlm.paper.measurement import measure
from tiedlm.paper.published_predictions import PREDICTIONS


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    train_tiny_run(folder)
    return folder


@pytest.fixture
def told(tiny, monkeypatch):
    monkeypatch.setenv("TIEDLM_CACHE_DIR", str(tiny / "cache"))
    return measure(tiny / "run")


def test_it_goes_with_the_runs_scores_and_is_plain_json(tiny, told):
    scores = load_run(tiny / "run").folder.read_json("scores")
    assert told["score"] == pytest.approx(scores["test"])
    found = SimpleNamespace(path=tiny, scores=scores, provenance={"version": 2}, analysis=json.loads(json.dumps(told)))
    check_analysis(found)  # pyright: ignore[reportArgumentType]
    assert sum(band["targets"] for band in told["bands"]) == scores["test"]["words"]


def test_means_over_every_word_and_over_others_are_kept_block_by_block(told):
    words = told["score"]["words"]
    the, elsewhere = told["blocks"][everywhere("the")], told["blocks"]["the"]
    assert sum(the["counts"]) == sum(told["blocks"][NEAR]["counts"]) == words
    assert 0 < sum(elsewhere["counts"]) < words
    assert sum(elsewhere["sums"]) < sum(the["sums"])
    assert everywhere("an") not in told["blocks"]  # the small text has none


def test_next_words_are_those_of_predict(tiny, told):
    run = load_run(tiny / "run")
    assert [entry["context"] for entry in told["next_words"]] == [known.phrase for known in PREDICTIONS]
    first = told["next_words"][0]
    expected = next_words(run.model, run.vocabulary, first["context"].split(), 10)
    assert first["next"] == [[word, round(probability, 7)] for word, probability in expected]
    assert "information" in first["unknown"]
    assert "the" not in first["unknown"]


def test_a_part_of_a_corpus_is_scored_once_more_with_its_own_words(tiny, told, monkeypatch):
    assert "own_words" not in told
    whole = run_corpus(load_run(tiny / "run").folder)
    train = whole.splits["train"]
    part = replace(whole, name="wikitext-2-half1", splits=whole.splits | {"train": replace(train, ids=train.ids[:40])})
    monkeypatch.setattr(measurement, "run_corpus", lambda folder, data_dir: part)
    found = measure(tiny / "run")
    model = load_run(tiny / "run").model
    for split in ("valid", "test"):
        assert found["own_words"][split] == own_words_score(model, part, split).to_json()
        assert found["own_words"][split]["unknown"] > whole.splits[split].unknown
    assert {name: value for name, value in found.items() if name != "own_words"} == told


def test_a_folder_that_is_no_run_is_told(tmp_path):
    with pytest.raises(RunError, match="There is no run folder"):
        measure(tmp_path / "run")
