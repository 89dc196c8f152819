"""The training loop, from the first window to the scores, readable from top to bottom.

    for every epoch: for every window: masks, loss, step          (`training.step`)
    after every epoch: perplexity on the validation text, best weights kept
    at the end: the best weights scored on validation and test text

Everything random is drawn from (seed, purpose, counter), so the state on the disk is parameters, carried state and
a few numbers, and a resumed training ends with the same bits as one that was never interrupted.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tiedlm.checkpoint import RunFolder
from tiedlm.corpora.prepare import Corpus
from tiedlm.corpora.streams import Streams
from tiedlm.errors import TrainingError
from tiedlm.evaluation.perplexity import PROTOCOL, Score, perplexity
from tiedlm.models.contract import Masks
from tiedlm.seeding import generator
from tiedlm.training.config import RunConfig
from tiedlm.training.display import Display, PlainDisplay
from tiedlm.training.interrupt import Interrupt, interruptible
from tiedlm.training.reports import epoch_record, epoch_report, window_report
from tiedlm.training.schedule import learning_rate
from tiedlm.training.start import continued, started
from tiedlm.training.state import TrainingState
from tiedlm.training.step import train_window


def train(
    config: RunConfig,
    run_dir: Path,
    *,
    start_from: Path | None = None,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    display: Display | None = None,
) -> RunFolder:
    """Train a model from the beginning to its scores, in a new run folder.

    Args:
        config: everything the result depends on.
        run_dir: the run folder to make; it must not exist yet.
        start_from: a run folder whose weights to start from, instead of random ones (a second training).
        data_dir: folder with corpora; None looks where `tiedlm.locations` says.
        cache_dir: folder for encoded corpora; None likewise.
        display: where to report to; None prints plain lines.

    Returns:
        The run folder, with roles `weights` (best on validation) and `scores`.

    Raises:
        ConfigError, CorpusError, RunError: see their messages.
        TrainingError: loss or gradient not finite; the last good state is kept.
    """
    folder = started(config, run_dir, start_from, data_dir, cache_dir)
    return resume(folder.path, data_dir=data_dir, cache_dir=cache_dir, display=display)


def resume(
    run_dir: Path, *, data_dir: Path | None = None, cache_dir: Path | None = None, display: Display | None = None
) -> RunFolder:
    """Go on with the training in a run folder, exactly where its state was saved last; arguments as for `train`."""
    folder = RunFolder.open(run_dir)
    display = display or PlainDisplay()
    with folder.lock():
        config, corpus, state = continued(folder, data_dir, cache_dir)
        try:
            Training(config, corpus, folder, state, display).run()
        finally:
            display.close()
    return folder


class Training:
    """One training in progress: the loop and what it acts on."""

    def __init__(
        self, config: RunConfig, corpus: Corpus, folder: RunFolder, state: TrainingState, display: Display
    ) -> None:
        self.config, self.corpus, self.folder, self.state, self.display = config, corpus, folder, state, display
        self.streams = Streams(corpus.splits["train"].ids, config.training.streams, end_id=corpus.vocabulary.end_id)
        self.windows = self.streams.window_count(config.training.steps)
        self.optimizer = torch.optim.SGD(state.model.parameters(), lr=config.training.learning_rate)
        self._saved = time.monotonic()

    def run(self) -> None:
        """Train the epochs that are missing, then score."""
        progress = self.state.progress
        self._note(event="start" if (progress.epoch, progress.window) == (1, 0) else "resume")
        with interruptible() as interrupt:
            while progress.epoch <= self.config.training.epochs:
                self.train_epoch(interrupt)
                self.end_epoch()
        if not self.folder.has("scores"):
            self.finish()

    def train_epoch(self, interrupt: Interrupt) -> None:
        """Train the windows of the epoch that are missing."""
        progress, training = self.state.progress, self.config.training
        self.optimizer.param_groups[0]["lr"] = learning_rate(training, progress.epoch)
        for inputs, targets in self.streams.windows(training.steps, start=progress.window):
            self.train_one_window(inputs, targets)
            self.display.window(window_report(progress, training, self.windows))
            if interrupt.asked or time.monotonic() - self._saved >= self.config.runtime.save_seconds:
                self.save()
            if interrupt.asked:
                raise KeyboardInterrupt

    def train_one_window(self, inputs: Tensor, targets: Tensor) -> None:
        """Take one step and count it. A step that fails has changed nothing, and the state before it is saved."""
        began, state, progress = time.monotonic(), self.state, self.state.progress
        device = state.model.classifier.device
        try:
            result = train_window(
                state.model,
                self.optimizer,
                inputs.to(device),
                targets.to(device),
                state.carried,
                self._masks(),
                self.config,
            )
        except TrainingError as error:
            self.save()
            raise TrainingError(self._advice(error)) from error
        state.carried = result.carried
        progress.window += 1
        progress.words += targets.numel()
        progress.loss_sum += result.loss_sum
        progress.cross_entropy_sum += result.cross_entropy_sum
        progress.seconds += time.monotonic() - began

    def end_epoch(self) -> None:
        """Validate, keep the weights if they are the best so far, and save."""
        began, progress = time.monotonic(), self.state.progress
        valid = self.score("valid").perplexity
        if not math.isfinite(valid):
            raise TrainingError(self._advice(TrainingError(f"The validation perplexity is {valid}.")))
        best = progress.best_valid_perplexity is None or valid < progress.best_valid_perplexity
        if best:
            progress.best_epoch, progress.best_valid_perplexity = progress.epoch, valid
        seconds = progress.seconds + time.monotonic() - began
        report = epoch_report(progress, self.config.training, valid, best, seconds)
        self._note(**epoch_record(report))
        progress.next_epoch(seconds)
        self.state.carried = self.state.model.initial_state(self.streams.count)
        self.save({"weights": self.state.weights()} if best else {})
        self.display.epoch(report)

    def finish(self) -> None:
        """Score the best weights and keep the scores."""
        self.state.model.load_state_dict(self.folder.read_tensors("weights"))
        scores = {split: self.score(split) for split in ("valid", "test")}
        values = {split: score.to_json() for split, score in scores.items()}
        self._note(event="end", total_seconds=self.state.progress.total_seconds, scores=values)
        content = json.dumps({**values, "protocol": PROTOCOL}, indent=2, allow_nan=False).encode()
        self.folder.commit({"scores": content}, self.folder.journal)
        for split, score in scores.items():
            self.display.message(f"{split} perplexity {score.perplexity:.2f} over {score.words:,} words ({PROTOCOL})")

    def score(self, split: str) -> Score:
        """Return the score of the model as it is on a split."""
        vocabulary = self.corpus.vocabulary
        ids = self.corpus.splits[split].ids
        return perplexity(self.state.model, ids, end_id=vocabulary.end_id, unknown_id=vocabulary.unknown_id)

    def save(self, more: dict[str, bytes] | None = None) -> None:
        """Put the state on the disk, in one step with `more`."""
        self.folder.commit({**self.state.contents(), **(more or {})}, self.folder.journal)
        self._saved = time.monotonic()

    def _masks(self) -> Masks | None:
        progress = self.state.progress
        counter = (progress.epoch - 1) * self.windows + progress.window
        draws = generator(self.config.seed, f"masks of training {progress.generation}", counter)
        return self.state.model.draw_masks(self.streams.count, draws)

    def _note(self, **record: Any) -> None:
        progress = self.state.progress
        place = {"epoch": progress.epoch, "window": progress.window, "time_unix": time.time()}
        self.folder.journal.append({**place, **record})

    def _advice(self, error: TrainingError) -> str:
        progress = self.state.progress
        return (
            f"{error} It happened in epoch {progress.epoch}, window {progress.window}. The last good state "
            f"is kept in {self.folder.path}. Try a smaller --training.learning-rate, a smaller "
            "--training.clip-norm or, with the augmented loss, a smaller --loss.gamma."
        )
