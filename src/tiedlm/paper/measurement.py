"""What is measured of a run's weights when it is published, since they are not: one more pass over the test text.

This is what `tiedlm analyze` tells of the run, with the sums behind its means block by block, so that two models can be
compared later without their weights; and the next words after the phrases of the paper's Table 4, each read after
`<eos>` alone, as `tiedlm predict` reads them. Of a part of a corpus both texts are read once more, with its own words.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiedlm.checkpoint.load import Run, load_run
from tiedlm.data.corpus import Corpus
from tiedlm.data.sources import HALVES
from tiedlm.evaluation.analysis import Analysis, analyze
from tiedlm.evaluation.context import unknown_words
from tiedlm.evaluation.neighbours import nearest_words
from tiedlm.evaluation.next_words import next_words
from tiedlm.evaluation.own_words import own_words_score
from tiedlm.evaluation.perplexity import PROTOCOL
from tiedlm.evaluation.run_corpus import run_corpus
from tiedlm.paper.measured import FORMAT, NEAR, NEIGHBOURS, NEXT_WORDS, OWN_WORDS, SCORED, SPLIT
from tiedlm.paper.published_predictions import PREDICTIONS

DIGITS = 7
"""Decimals of a block's sum: below its error by rounding in float32, and nothing that any figure shows."""


def measure(run: Path, data_dir: Path | None = None, device: str = "cpu") -> dict[str, Any]:
    """Return the content of `analysis.json` of a run, as plain JSON values.

    Args:
        run: the run folder.
        data_dir: where its corpus is; None looks in the usual data folder.
        device: what the text is read on.

    Raises:
        ConfigError: a device that does not exist here.
        RunError: the run folder is damaged, or its corpus is another one now.
        CorpusError: its corpus is missing or unusable.
        ArgumentError: a table that is not finite or spans too few directions.
    """
    loaded = load_run(run, device=device)
    corpus = run_corpus(loaded.folder, data_dir)
    neighbours = min(NEIGHBOURS, len(loaded.vocabulary) - 1)
    near = {NEAR: nearest_words(loaded.model.table, neighbours)}
    found = analyze(loaded.model, loaded.vocabulary, corpus.splits[SPLIT].ids, near)
    return {
        "format": FORMAT,
        "split": SPLIT,
        "protocol": PROTOCOL,
        "neighbours": neighbours,
        **found.to_json(),
        **_own_words(loaded, corpus),
        "blocks": _blocks(found),
        "next_words": [_after(loaded, known.phrase) for known in PREDICTIONS],
    }


def _own_words(run: Run, corpus: Corpus) -> dict[str, Any]:
    """Return what a corpus has that is a part of another: scores without the words that only the whole one has."""
    if corpus.name not in HALVES:
        return {}
    return {OWN_WORDS: {split: own_words_score(run.model, corpus, split).to_json() for split in SCORED}}


def _blocks(found: Analysis) -> dict[str, Any]:
    return {
        name: {"sums": [round(value, DIGITS) for value in each.sums], "counts": each.counts}
        for name, each in found.mass.by_block().items()
    }


def _after(run: Run, phrase: str) -> dict[str, Any]:
    words = phrase.split()
    best = next_words(run.model, run.vocabulary, words, min(NEXT_WORDS, len(run.vocabulary)))
    return {
        "context": phrase,
        "unknown": unknown_words(run.vocabulary, words),
        "next": [[word, round(probability, DIGITS)] for word, probability in best],
    }
