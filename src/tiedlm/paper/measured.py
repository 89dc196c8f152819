"""`analysis.json` of a published result: what was measured of its weights, and whether it agrees with itself.

    {"format": 1, "split": "test", "protocol": "...", "neighbours": 10,
     "score": {...}, "bands": [...], "feature_norm_squared": ..., "geometry": {...}, "probability": {...},
     "blocks": {"the, everywhere": {"sums": [block 0, block 1, ...], "counts": [...]}, ...},
     "next_words": [{"context": "...", "unknown": [...], "next": [["federal", 0.22], ...]}, ...],
     "own_words": {"valid": {...}, "test": {...}}}

`own_words` has the scores of `evaluation.own_words`, and stands only where the corpus is a part of another.

The text is cut into contiguous blocks (`evaluation.blocks`); two models on one text have the same blocks and counts.
"""

from __future__ import annotations

import math
from typing import Any

from tiedlm.errors import RunError
from tiedlm.paper.layout import ANALYSIS, NOT_USED, WITHOUT_ANALYSIS, Result

FORMAT = 1
SPLIT = "test"
OWN_WORDS = "own_words"
SCORED = ("valid", "test")
NEIGHBOURS, NEXT_WORDS = 10, 10
"""Words that count as near to a word; words that are kept after a phrase, as in the paper."""
NEAR = "nearest by its own vectors"
"""The measure that is the probability of the words nearest to the one that came, by the model's own word vectors."""

SAME_TEXT, SAME_MEAN = 1e-4, 1e-5
"""How far two passes over one text may differ in its nats (relative), and a mean from its sums (absolute)."""

Blocks = dict[str, Any]
"""`sums` and `counts` of a measure, block by block."""


def blocks_of(result: Result, measure: str) -> Blocks | None:
    """Return a result's sums of a measure; None where it was not measured."""
    return None if result.analysis is None else result.analysis["blocks"].get(measure)


def next_words_of(result: Result, phrase: str) -> tuple[tuple[str, float], ...] | None:
    """Return a result's next words after a phrase, most probable first; None where they were not measured."""
    for entry in [] if result.analysis is None else result.analysis["next_words"]:
        if entry["context"] == phrase:
            return tuple((word, probability) for word, probability in entry["next"])
    return None


def check_analysis(result: Result) -> None:
    """Refuse an analysis that is of another format, of another text than the scores, or contradicts itself.

    Raises:
        RunError: what is wrong, in words.
    """
    told = result.analysis
    if result.provenance["version"] == WITHOUT_ANALYSIS:
        return
    where = f"{result.path}: {ANALYSIS}"
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        found = told.get("format") if isinstance(told, dict) else told
        raise RunError(f"{where} must be of format {FORMAT}, but is of {found!r}. {NOT_USED}")
    try:
        fault = (
            _of_the_scores(told, result.scores)
            or _of_blocks(told)
            or _of_next_words(told)
            or _of_own_words(told, result.scores)
        )
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        fault = f"{error!r} where its figures should be"
    if fault:
        raise RunError(f"{where}: {fault}. {NOT_USED} Publish its run again with --replace.")


def _of_the_scores(told: dict[str, Any], scores: dict[str, Any]) -> str | None:
    own, scored = told["score"], scores[SPLIT]
    if (told["split"], told["protocol"]) != (SPLIT, scores["protocol"]):
        return f"it is of {told['split']} under {told['protocol']!r}, the scores are under {scores['protocol']!r}"
    same = math.isclose(own["nll_nats"], scored["nll_nats"], rel_tol=SAME_TEXT)
    if own["words"] != scored["words"] or not same:
        return (
            f"{own['nll_nats']} nats over {own['words']} words, but the scores say {scored['nll_nats']} over "
            f"{scored['words']}"
        )
    return None


def _of_blocks(told: dict[str, Any]) -> str | None:
    lengths = {len(values) for each in told["blocks"].values() for values in (each["sums"], each["counts"])}
    if len(lengths) != 1:
        return f"its measures have {sorted(lengths)} blocks instead of one number of them"
    faults = (_of_measure(name, each, told) for name, each in told["blocks"].items())
    return next((fault for fault in faults if fault), None)


def _of_measure(name: str, each: Blocks, told: dict[str, Any]) -> str | None:
    sums, counts, known = each["sums"], each["counts"], told["probability"][name]
    words = sum(counts)
    if not all(isinstance(count, int) and count >= 0 for count in counts) or words > told["score"]["words"]:
        return f"the counts of {name!r} are not numbers of words of the text"
    if not all(0 <= value <= count + SAME_MEAN for value, count in zip(sums, counts, strict=True)):
        return f"the sums of {name!r} are not sums of probabilities"
    if (known is None) != (words == 0) or (known and not abs(sum(sums) / words - known["mean"]) < SAME_MEAN):
        return f"the mean of {name!r} is {known and known['mean']}, but its sums over blocks say otherwise"
    return None


def _of_next_words(told: dict[str, Any]) -> str | None:
    for entry in told["next_words"]:
        probabilities = [float(probability) for _, probability in entry["next"]]
        falling = probabilities == sorted(probabilities, reverse=True)
        words = all(isinstance(word, str) for word, _ in entry["next"])
        if not (falling and words and all(0 <= value <= 1 for value in probabilities)):
            return f"the next words after {entry['context']!r} are not words with falling probabilities"
    return None


def _of_own_words(told: dict[str, Any], scores: dict[str, Any]) -> str | None:
    for split, own in told.get(OWN_WORDS, {}).items():
        whole = scores[split]
        if own["words"] != whole["words"] or own["unknown"] <= whole["unknown"]:
            return f"the {split} text with its own words is not the one of the scores with more words unknown"
        if not math.isclose(own["perplexity"], math.exp(own["nll_nats"] / own["words"]), rel_tol=SAME_TEXT):
            return f"the perplexity of the {split} text with its own words is not that of its nats"
    return None
