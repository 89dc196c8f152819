"""Scores of a training's model."""

from __future__ import annotations

from pathlib import Path

from support.small_text import small_config
from support.tiny_run import Silence
from tiedlm.evaluation.perplexity import PROTOCOL
from tiedlm.native.ranks import SINGLE
from tiedlm.runs.folder import RunFolder
from tiedlm.training.record import Record
from tiedlm.training.scores import score, score_best
from tiedlm.training.share import Share
from tiedlm.training.start import create_run, restore_run


def test_the_weights_that_were_best_are_scored_and_not_those_of_the_end(tmp_path: Path) -> None:
    config = small_config(tmp_path / "text")
    folder = create_run(config, tmp_path / "run", None, None, tmp_path / "cache")
    state = restore_run(folder, None, tmp_path / "cache")
    corpus = state.corpus
    record = Record(folder, SINGLE, Share(SINGLE, config.training.streams), 0.0)
    best = {split: score(state.model, corpus, split) for split in ("valid", "test")}
    with folder.lock():
        record.save(state, state.weights())
    state.model.reset_parameters()
    assert score(state.model, corpus, "valid") != best["valid"]
    with folder.lock():
        score_best(state, corpus, record, Silence())
    kept = RunFolder.open(folder.path).record.scores
    assert kept == {**{split: found.to_json() for split, found in best.items()}, "protocol": PROTOCOL}
    assert folder.journal()[-1]["scores"]["test"] == best["test"].to_json()
