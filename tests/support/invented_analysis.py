"""Invented `analysis.json` of a result: nothing is measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tiedlm.checkpoint import RunFolder
from tiedlm.evaluation.measures import FREQUENT_WORDS, TARGET, everywhere
from tiedlm.paper import measurement
from tiedlm.paper.measured import FORMAT, NEAR
from tiedlm.paper.published_predictions import PREDICTIONS

BLOCKS = 20
CHANCES = {"<unk>": 0.05, "a": 0.02, "an": 0.004, "the": 0.06, NEAR: 0.04, TARGET: 0.2}
"""Mean probability of each measure."""
NEXT = [["the", 0.3], ["$", 0.2], ["<unk>", 0.05], ["federal", 0.01]]


def analysis(scores: Mapping[str, Any], chances: Mapping[str, float] = CHANCES, next_words: Any = NEXT) -> Any:
    """Return an analysis that goes with scores, with these mean probabilities: a text whose blocks differ a little.

    Args:
        scores: content of `scores.json`.
        chances: measure → mean; that of a frequent word where another one comes, nine tenths of it.
        next_words: after every phrase.
    """
    words = scores["test"]["words"]
    means = dict(chances) | {everywhere(word): chances[word] for word in FREQUENT_WORDS if word in chances}
    means |= {word: 0.9 * chances[word] for word in FREQUENT_WORDS if word in chances}
    sizes = [words * (number + 1) // BLOCKS - words * number // BLOCKS for number in range(BLOCKS)]
    blocks = {
        name: {"sums": [mean * size * _tilt(number) for number, size in enumerate(sizes)], "counts": list(sizes)}
        for name, mean in means.items()
    }
    return {
        "format": FORMAT,
        "split": "test",
        "protocol": scores["protocol"],
        "score": scores["test"],
        "neighbours": 10,
        "bands": [],
        "geometry": {},
        "feature_norm_squared": 1.5,
        "probability": {name: {"mean": sum(each["sums"]) / words} for name, each in blocks.items()},
        "blocks": blocks,
        "next_words": [{"context": known.phrase, "unknown": [], "next": next_words} for known in PREDICTIONS],
    }


def _tilt(number: int) -> float:
    """A block's share of the mean: from 0.9 to 1.1, 1 on average."""
    return 0.9 + 0.2 * number / (BLOCKS - 1)


def instead_of_measuring(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path | None]]:
    """Let runs whose weights are no model be published: return the list of what is measured, run and data folder."""
    calls: list[tuple[str, Path | None]] = []

    def measure(run: Path, data_dir: Path | None = None, device: str = "cpu") -> Any:
        calls.append((run.name, data_dir))
        return analysis(RunFolder.open(run).read_json("scores"))

    monkeypatch.setattr(measurement, "measure", measure)
    return calls
