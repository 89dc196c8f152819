"""What is measured of a run, on a small one."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.tiny_run import train_tiny_run
from tiedlm.checkpoint.load import load_run
from tiedlm.errors import RunError
from tiedlm.evaluation.measures import everywhere
from tiedlm.evaluation.next_words import next_words
from tiedlm.reproduction.measured import NEAR, check_analysis
from tiedlm.reproduction.measurement import measure
from tiedlm.reproduction.published_predictions import PREDICTIONS


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


def test_a_folder_that_is_no_run_is_told(tmp_path):
    with pytest.raises(RunError, match="There is no run folder"):
        measure(tmp_path / "run")
