"""A result whose parts do not go together is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from support.finished_run import EPOCHS, environment, journal, recipe_config, scores
from tiedlm.config import to_json
from tiedlm.errors import RunError
from tiedlm.paper.consistency import check_result
from tiedlm.paper.layout import Result

PARENT = {"recipe": "ptb-small-re", "seed": 0, "weights_sha256": "aa"}


def result(**changes: Any) -> Result:
    """A result in good order, but for the changes."""
    fields: dict[str, Any] = {
        "path": Path("result"),
        "config": to_json(recipe_config()),
        "environment": environment(),
        "metrics": journal(),
        "scores": scores(),
        "provenance": {"weights_sha256": "aa", "version": 1},
        "first_training": None,
    }
    return Result(**copy.deepcopy(fields) | changes)


def test_good_results_pass():
    check_result(result())
    check_result(result(first_training=result(), environment=environment(PARENT)))


@pytest.mark.parametrize("split", ["valid", "test"])
@pytest.mark.parametrize(
    ("field", "factor", "message"),
    [
        ("perplexity", 1 + 1e-8, r"the {split} perplexity is .*, but exp\(nll_nats / words\) is"),
        ("nll_nats", 1 + 1e-8, r"the {split} perplexity is"),
        ("words", 1 - 1e-4, r"the {split} perplexity is"),
    ],
)
def test_a_perplexity_that_is_not_that_of_its_nats_is_refused(split, field, factor, message):
    scored = scores()
    scored[split][field] = type(scored[split][field])(scored[split][field] * factor)
    with pytest.raises(RunError, match=message.format(split=split)):
        check_result(result(scores=scored))


@pytest.mark.parametrize(("split", "words"), [("valid", 73_760), ("test", 82_430)])
def test_another_count_than_published_is_refused(split, words):
    scored = scores()
    assert scored[split]["words"] == words
    scored[split] = scored[split] | {"words": 1_000, "nll_nats": scored[split]["nll_nats"] / words * 1_000}
    with pytest.raises(RunError, match=rf"1,000 words of {split} were scored, but ptb counts {words:,}"):
        check_result(result(scores=scored))


def test_a_corpus_without_published_counts_may_have_any():
    scored = scores()
    scored["test"] = scored["test"] | {"words": 1_000, "nll_nats": scored["test"]["nll_nats"] / 82_430 * 1_000}
    config = recipe_config(name="demo-real")
    check_result(result(scores=scored, config=to_json(config), metrics=journal(config.training.epochs)))


@pytest.mark.parametrize(
    "wrong", [journal(EPOCHS - 1), journal(EPOCHS + 1), [*journal(), journal()[2], *journal()[3:6]]]
)
def test_epochs_that_are_missing_or_double_are_refused(wrong):
    with pytest.raises(RunError, match=rf"one record for each of {EPOCHS} epochs"):
        check_result(result(metrics=wrong))


@pytest.mark.parametrize(
    ("first", "parent"),
    [
        (None, PARENT),
        (result(), None),
        (result(), PARENT | {"weights_sha256": "bb"}),
        (result(), PARENT | {"recipe": "ptb-small-real"}),
        (result(config=to_json(recipe_config(name="ptb-small-real"))), PARENT | {"recipe": "ptb-small-real"}),
    ],
)
def test_a_first_training_that_is_not_the_one_named_is_refused(first, parent):
    with pytest.raises(RunError, match="must be of one recipe"):
        check_result(result(first_training=first, environment=environment(parent)))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"nll_nats": None}, "nll_nats should be a number"),
        ({"nll_nats": 1e9, "words": 1}, "is not a result: OverflowError"),
        ({"words": 0}, "is not a result: ZeroDivisionError"),
    ],
)
def test_scores_that_are_none_are_refused(changed, told):
    wrong = scores()
    wrong["valid"] |= changed
    with pytest.raises(RunError, match=told):
        check_result(result(scores=wrong))
