"""Whether the parts of a result agree with each other, and with the published counts of its corpus."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tiedlm.data.sources import source_of
from tiedlm.errors import RunError
from tiedlm.paper.fields import check_result_fields
from tiedlm.paper.layout import FIRST_TRAINING, METRICS, NOT_USED, Result
from tiedlm.paper.measured import check_analysis


def check_result(result: Result) -> None:
    """Refuse a result whose parts contradict each other, or the published counts of its corpus.

    Raises:
        RunError: fields that are missing or of another type, scores that are not exp(nll_nats / words), other counts
            than published, epochs missing or double, an analysis of another text.
    """
    check_result_fields(result)
    try:
        for split in ("valid", "test"):
            _check_score(result, split)
        _check_epochs(result)
        _check_first_training(result)
        check_analysis(result)
    except (KeyError, TypeError, ArithmeticError) as error:
        raise RunError(f"{result.path} is not a result: {error!r} where its figures should be. {NOT_USED}") from error


def _check_score(result: Result, split: str) -> None:
    score = result.scores[split]
    own = math.exp(score["nll_nats"] / score["words"])
    if not math.isclose(own, score["perplexity"], rel_tol=1e-9):
        raise RunError(
            f"{result.path}: the {split} perplexity is {score['perplexity']}, but exp(nll_nats / words) is {own}. "
            f"{NOT_USED}"
        )
    source = source_of(result.config["corpus"]["name"])
    if source is not None and score["words"] != source.files[split].scored_words:
        raise RunError(
            f"{result.path}: {score['words']:,} words of {split} were scored, but {source.name} counts "
            f"{source.files[split].scored_words:,}. Score the whole split."
        )


def _check_epochs(result: Result) -> None:
    found = [record["epoch"] for record in result.metrics if record["event"] == "epoch"]
    wanted = list(range(1, result.config["training"]["epochs"] + 1))
    if found != wanted:
        raise RunError(
            f"{result.path}: {METRICS} should have one record for each of {len(wanted)} epochs, in order, but has "
            f"those of {found}. {NOT_USED}"
        )


def _check_first_training(result: Result) -> None:
    first, parent = result.first_training, result.environment["parent"]
    origin = None if first is None else (*_name(first.config), first.provenance["weights_sha256"])
    named = None if parent is None else (*_name(parent), parent["weights_sha256"])
    if origin != named or (first is not None and _name(first.config) != _name(result.config)):
        raise RunError(
            f"{result.path}, of {_name(result.config)}: its training started from the weights {named}, but "
            f"{FIRST_TRAINING} is of {origin}; both, and this result, must be of one recipe and one seed. {NOT_USED}"
        )


def _name(config: Mapping[str, Any]) -> tuple[str, int]:
    return config["recipe"], config["seed"]
