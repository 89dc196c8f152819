"""How good a training's model is, on the validation text after every epoch and on both texts at the end."""

from __future__ import annotations

import json

from tiedlm.corpora.prepare import Corpus
from tiedlm.evaluation.perplexity import PROTOCOL, Score, perplexity
from tiedlm.models.contract import LanguageModel
from tiedlm.training.display import Display
from tiedlm.training.record import Record
from tiedlm.training.state import TrainingState


def score(model: LanguageModel, corpus: Corpus, split: str) -> Score:
    """Return the score of the model as it is on a split."""
    vocabulary = corpus.vocabulary
    ids = corpus.splits[split].ids
    return perplexity(model, ids, end_id=vocabulary.end_id, unknown_id=vocabulary.unknown_id)


def score_best(state: TrainingState, corpus: Corpus, record: Record, display: Display) -> None:
    """Score the best weights and keep the scores."""
    folder = record.folder
    state.model.load_state_dict(folder.read_tensors("weights"))
    scores = {split: score(state.model, corpus, split) for split in ("valid", "test")}
    values = {split: found.to_json() for split, found in scores.items()}
    record.note(state.progress, event="end", total_seconds=state.progress.total_seconds, scores=values)
    content = json.dumps({**values, "protocol": PROTOCOL}, indent=2, allow_nan=False).encode()
    folder.commit({"scores": content}, folder.journal)
    for split, found in scores.items():
        display.message(f"{split} perplexity {found.perplexity:.2f} over {found.words:,} words ({PROTOCOL})")
