"""How good a training's model is, on the validation text after every epoch and on both texts at the end."""

from __future__ import annotations

from collections.abc import Callable

from tiedlm.data.corpus import Corpus
from tiedlm.evaluation.perplexity import PROTOCOL, Score, ScoreSum, word_nlls
from tiedlm.native.ranks import Ranks
from tiedlm.nn.model import LanguageModel
from tiedlm.runs.load import read_tensors
from tiedlm.training.display import Display
from tiedlm.training.interrupt import Interrupt
from tiedlm.training.record import Record
from tiedlm.training.start import TrainerState

Stop = Callable[[], bool]
"""Whether somebody asked to stop."""


def score(model: LanguageModel, corpus: Corpus, split: str, stop: Stop = lambda: False) -> Score:
    """Return the score of the model as it is on a split.

    Raises:
        KeyboardInterrupt: `stop` says so, after a window of the split.
    """
    vocabulary, tally = corpus.vocabulary, ScoreSum(corpus.vocabulary.unknown_id)
    for _ in tally.over(word_nlls(model, corpus.splits[split].ids, end_id=vocabulary.end_id)):
        if stop():
            raise KeyboardInterrupt
    return tally.score()


def stopped_by(interrupt: Interrupt, ranks: Ranks) -> Stop:
    """Return what an interrupt ends scoring by; where other ranks wait for the first one's score, it ends nothing."""
    return lambda: interrupt.asked and ranks.is_single


def validate(state: TrainerState, corpus: Corpus, record: Record, ranks: Ranks, interrupt: Interrupt) -> float:
    """Return the perplexity of the validation text.

    Raises:
        KeyboardInterrupt: after a request to stop, or a second one; the epoch is saved as it was trained.
    """
    try:
        return ranks.broadcast_scalar(
            lambda: score(state.model, corpus, "valid", stopped_by(interrupt, ranks)).perplexity
        )
    except KeyboardInterrupt:
        if ranks.is_single:
            record.save(state)
        raise


def score_best(
    state: TrainerState, corpus: Corpus, record: Record, display: Display, stop: Stop = lambda: False
) -> None:
    """Score the best weights and keep the scores; KeyboardInterrupt as for `score`, and then nothing is kept."""
    folder = record.folder
    state.model.load_state_dict(read_tensors(folder, "weights"))
    scores = {split: score(state.model, corpus, split, stop) for split in ("valid", "test")}
    values = {split: result.to_json() for split, result in scores.items()}
    record.note(state.progress, "end", total_seconds=state.progress.total_seconds, scores=values)
    folder.save(scores={**values, "protocol": PROTOCOL})
    for split, result in scores.items():
        display.message(f"{split} perplexity {result.perplexity:.2f} over {result.words:,} words ({PROTOCOL})")
