"""An analysis that does not go with its scores, or not with itself, is refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.finished_run import scores
from support.invented_analysis import analysis
from support.published_results import own_words_of
from tiedlm.errors import RunError
from tiedlm.paper.layout import Result
from tiedlm.paper.measured import blocks_of, check_analysis, next_words_of
from tiedlm.paper.published_predictions import PREDICTIONS


def result(told: Any, version: int = 2) -> Result:
    return Result(
        path=Path("result"),
        config={},
        environment={},
        metrics=[],
        scores=scores(),
        provenance={"version": version},
        first_training=None,
        analysis=told,
    )


def test_one_in_good_order_passes_and_is_read():
    told = analysis(scores())
    check_analysis(result(told))
    assert blocks_of(result(told), "the") == told["blocks"]["the"]
    assert blocks_of(result(told), "an aardvark") is None
    assert next_words_of(result(told), PREDICTIONS[1].phrase) == (
        *(("the", 0.3), ("$", 0.2), ("<unk>", 0.05), ("federal", 0.01)),
    )
    assert next_words_of(result(told), "another phrase") is None


def test_without_one_nothing_was_measured():
    check_analysis(result(None, version=1))
    assert blocks_of(result(None, version=1), "the") is None
    assert next_words_of(result(None, version=1), PREDICTIONS[0].phrase) is None


def changed(path: tuple[Any, ...], value: Any) -> Callable[[Any], None]:
    def change(told: Any) -> None:
        for name in path[:-1]:
            told = told[name]
        told[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(("format",), 2), "must be of format 1, but is of 2"),
        (changed(("split",), "valid"), "it is of valid"),
        (changed(("protocol",), "another"), "under 'another'"),
        (changed(("score", "nll_nats"), 300_000.0), "300000.0 nats over 82430 words"),
        (changed(("score", "words"), 5), "over 5 words"),
        (changed(("blocks", "the", "sums"), [1.0]), r"have \[1, 20\] blocks"),
        (changed(("blocks", "the", "counts", 0), -1), "the counts of 'the'"),
        (changed(("blocks", "the", "counts", 0), 1e9), "the counts of 'the'"),
        (changed(("blocks", "a", "sums", 3), 1e9), "the sums of 'a' are not sums of probabilities"),
        (changed(("blocks", "a", "sums", 3), float("nan")), "the sums of 'a' are not sums of probabilities"),
        (changed(("blocks", "target", "sums", 3), 0.0), "the mean of 'target' is 0.2"),
        (changed(("probability", "an"), None), "the mean of 'an' is None"),
        (changed(("probability",), {}), "KeyError"),
        (changed(("blocks", "an"), 7), "TypeError"),
        (changed(("next_words", 0, "next"), [["a", 0.1], ["b", 0.2]]), "words with falling probabilities"),
        (changed(("next_words", 0, "next"), [["a", 1.1]]), "words with falling probabilities"),
        (changed(("next_words", 0, "next"), [[7, 0.1]]), "words with falling probabilities"),
        (changed(("next_words",), None), "TypeError"),
    ],
)
def test_contradictions_are_refused(change, message):
    told = copy.deepcopy(analysis(scores()))
    change(told)
    with pytest.raises(RunError, match=rf"result: analysis\.json.*{message}.*Nothing of it was used"):
        check_analysis(result(told))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(("own_words", "test", "words"), 5), "the test text with its own words is not the one of the scores"),
        (changed(("own_words", "valid", "unknown"), 0), "the valid text .* with more words unknown"),
        (changed(("own_words", "valid", "nll_nats"), 1.0), "the perplexity of the valid text .* not that of its nats"),
        (changed(("own_words", "train"), {}), "KeyError"),
        (changed(("own_words",), None), "AttributeError"),
    ],
)
def test_scores_with_a_parts_own_words_go_with_those_of_all(change, message):
    told = analysis(scores())
    told["own_words"] = {split: own_words_of(scores()[split]) for split in ("valid", "test")}
    check_analysis(result(told))
    change(told)
    with pytest.raises(RunError, match=rf"result: analysis\.json.*{message}.*Nothing of it was used"):
        check_analysis(result(told))


@pytest.mark.parametrize("told", [None, [], "text"])
def test_what_is_no_analysis_is_refused(told):
    with pytest.raises(RunError, match="must be of format 1"):
        check_analysis(result(told))
