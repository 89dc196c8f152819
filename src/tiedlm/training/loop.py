"""The training loop, from the first window to the scores, readable from top to bottom.

    for every epoch: for every window: masks, loss, step          (`training.step`)
    after every epoch: perplexity on the validation text, best weights kept
    at the end: the best weights scored on validation and test text

Everything random is drawn from (seed, purpose, counter), so the state on the disk is parameters, carried state and
a few numbers, and a resumed training ends with the bits of one never interrupted (on a GPU, up to the order of sums).

Several processes may train together, each with its shard of the streams (`training.processes`). All of them go through
this loop side by side; the first one alone validates, scores, shows and writes.
"""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from tiedlm.config import to_json
from tiedlm.data.streams import Streams
from tiedlm.errors import RunError, TrainingError, translate_oom
from tiedlm.evaluation.perplexity import PROTOCOL, Score, ScoreSum, exp, word_nlls
from tiedlm.native.ranks import SINGLE, Ranks
from tiedlm.runs.config import RunConfig, RuntimeConfig
from tiedlm.runs.folder import Progress, RunFolder
from tiedlm.runs.load import read_tensors
from tiedlm.seeding import derive, generator
from tiedlm.training.display import Display, EpochReport, PlainDisplay, SilentDisplay, WindowReport
from tiedlm.training.processes import Interrupt, StreamShard, interruptible, resume_command
from tiedlm.training.start import TrainerState, create_run, record_session, restore_run
from tiedlm.training.step import GraphedForwardBackward, forward_backward, training_step


def train(
    config: RunConfig,
    run_dir: Path,
    *,
    start_from: Path | None = None,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    display: Display | None = None,
    ranks: Ranks = SINGLE,
) -> RunFolder:
    """Train a model from the beginning to its scores, in a new run folder.

    Args:
        config: everything the result depends on.
        run_dir: the run folder to make; it must not exist yet.
        start_from: a run folder whose weights to start from, instead of random ones (a second training).
        data_dir: folder with corpora; None looks where `tiedlm.files` says.
        cache_dir: folder for encoded corpora; None likewise.
        display: where to report to; None prints plain lines.
        ranks: the processes that train together; all call this with the same arguments and see the same folders.

    Returns:
        The run folder, with the weights that were best on validation, and their scores.

    Raises:
        ConfigError, CorpusError, RunError: see their messages.
        ArgumentError: ranks that were not asked for the same, or one of which has failed.
        TrainingError: loss or gradient not finite; the last good state is kept.
        RanksError, OutOfMemoryError: a rank has died, or memory has run out; the state that was saved last is kept.
    """
    ranks.check_same(
        lambda: (StreamShard(ranks, config.training.streams).streams, to_json(config), run_dir, start_from)
    )
    ranks.on_rank0(lambda: create_run(config, run_dir, start_from, data_dir, cache_dir, ranks.world_size))
    return resume(run_dir, data_dir=data_dir, cache_dir=cache_dir, display=display, ranks=ranks)


def resume(
    run_dir: Path,
    *,
    runtime: RuntimeConfig | None = None,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    display: Display | None = None,
    ranks: Ranks = SINGLE,
) -> RunFolder:
    """Resume the training in a run folder exactly where its state was saved last; a finished one stays as it is.

    Args:
        run_dir: the run folder.
        runtime: on which device, in which precision, with which threads to resume; None: as before. Another one changes
            the last digits, or more with another precision, and is recorded in the run folder.
        data_dir: as for `train`; so are the other arguments. The number of ranks may be another than before.

    Raises:
        RunError: the folder is missing, damaged or in use; or another runtime for a training that is finished.
        ConfigError, CorpusError, TrainingError, ...: as `train`.
    """
    key = ("resume", run_dir, None if runtime is None else to_json(runtime))
    folder = ranks.check_same(lambda: RunFolder.open(run_dir), key=lambda _: key)
    display = (display or PlainDisplay()) if ranks.is_main else SilentDisplay()
    hint = resume_command(folder.path, data_dir)
    with ExitStack() as stack:
        stack.enter_context(
            translate_oom(f"The state saved last is kept; with more memory, this goes on with it: {hint}")
        )
        stack.callback(display.close)
        ranks.on_rank0(lambda: stack.enter_context(folder.lock()))
        if runtime is not None and folder.is_finished:
            raise RunError(f"{folder.path} is finished: there is nothing left to be trained elsewhere.")
        state = ranks.check_same(
            lambda: restore_run(folder, data_dir, cache_dir, runtime),
            key=lambda state: (to_json(state.config), state.corpus.provenance, state.progress),
        )
        ranks.on_rank0(lambda: record_session(folder, state, display, ranks.world_size))
        Trainer(folder, state, display, ranks).run()
    return folder


def first_window(config: RunConfig, generation: int, epoch: int) -> int | None:
    """Return the words of an epoch's first window, from 1 to `steps`, or None where windows do not move.

    With windows that never move, a word near the start of one is always learned with the little history that gradients
    can flow through there, and always beside the same neighbours under one mask.
    """
    if not config.training.moving_windows:
        return None
    return 1 + derive(config.seed, f"first window of training {generation}", epoch) % config.training.steps


class Trainer:
    """One training in progress: the loop, and what it acts on; the first rank has locked the folder, `state` is of all
    streams.
    """

    def __init__(self, folder: RunFolder, state: TrainerState, display: Display, ranks: Ranks = SINGLE) -> None:
        self.folder, self.display, self.ranks = folder, display, ranks
        config, corpus = self.config, self.corpus = state.config, state.corpus
        self.shard = StreamShard(ranks, config.training.streams)
        self.state = replace(state, carried=tuple(map(self.shard.local, state.carried)))
        self.streams = Streams(corpus.splits["train"].ids, config.training.streams, end_id=corpus.vocabulary.end_id)
        self.max_windows = self.streams.window_count(config.training.steps) + config.training.moving_windows
        self.passes = GraphedForwardBackward() if state.model.classifier.device.type == "cuda" else forward_backward
        self._saved_at = time.monotonic()

    def run(self) -> None:
        progress = self.state.progress
        is_new = (progress.epoch, progress.window) == (1, 0)
        self.log("start" if is_new else "resume", processes=self.ranks.world_size)
        with interruptible() as interrupt:
            while progress.epoch <= self.config.training.epochs:
                self.train_epoch(interrupt)
                self.end_epoch(interrupt)
            if not self.folder.is_finished:
                self.ranks.on_rank0(lambda: self.score_best(interrupt))

    def train_epoch(self, interrupt: Interrupt) -> None:
        progress, training = self.state.progress, self.config.training
        start = replace(progress)
        first = first_window(self.config, progress.generation, progress.epoch)
        count = self.streams.window_count(training.steps, first)
        for inputs, targets in self.streams.windows(training.steps, progress.window, first):
            self.train_window(inputs, targets)
            self.display.window(window_report(progress, start, training.epochs, count))
            is_overdue = time.monotonic() - self._saved_at >= self.config.runtime.save_seconds
            stop, save = self.ranks.any(interrupt.requested, self.ranks.is_main and is_overdue)
            if stop or save:
                self.save()
            if stop:
                raise KeyboardInterrupt

    def train_window(self, inputs: Tensor, targets: Tensor) -> None:
        """Take one step and count it. A step that fails has changed nothing, and the state before it is saved."""
        began, state, progress, training = time.monotonic(), self.state, self.state.progress, self.config.training
        device, words = state.model.classifier.device, targets.numel()
        inputs, targets = (self.shard.local(ids).to(device) for ids in (inputs, targets))
        counter = (progress.epoch - 1) * self.max_windows + progress.window
        draws = generator(self.config.seed, f"masks of training {progress.generation}", counter)
        rate, masks = training.learning_rate_at(progress.epoch), self.shard.masks(state.model, draws)
        try:
            result = training_step(
                state.model, rate, inputs, targets, state.carried, masks, self.config, self.ranks, self.passes
            )
        except TrainingError as error:
            self.save()
            raise self._not_finite(error) from error
        state.carried = result.state
        progress.window += 1
        progress.words += words
        progress.loss_sum += result.loss_sum
        progress.cross_entropy_sum += result.cross_entropy_sum
        progress.seconds += time.monotonic() - began

    def end_epoch(self, interrupt: Interrupt) -> None:
        """Validate, keep the weights if they are the best so far, and save."""
        began, progress, training = time.monotonic(), self.state.progress, self.config.training
        valid = self.validate(interrupt)
        if not math.isfinite(valid):
            raise self._not_finite(TrainingError(f"The validation perplexity is {valid}."))
        best = progress.best_valid_perplexity is None or valid < progress.best_valid_perplexity
        if best:
            progress.best_epoch, progress.best_valid_perplexity = progress.epoch, valid
        seconds = progress.seconds + time.monotonic() - began
        report = EpochReport(
            epoch=progress.epoch,
            epochs=training.epochs,
            learning_rate=training.learning_rate_at(progress.epoch),
            loss=progress.loss_sum / progress.words,
            cross_entropy=progress.cross_entropy_sum / progress.words,
            valid_perplexity=valid,
            best=best,
            words_per_second=progress.words / max(progress.seconds, 1e-9),
            seconds=seconds,
            seconds_left=(training.epochs - progress.epoch) * seconds,
        )
        figures = ("learning_rate", "valid_perplexity", "best", "words_per_second", "seconds")
        self.log(
            "epoch",
            **{name: getattr(report, name) for name in figures},
            train_loss=report.loss,
            train_cross_entropy_perplexity=exp(report.cross_entropy),
        )
        progress.next_epoch(seconds)
        fresh = self.state.model.initial_state(self.streams.count)
        self.state.carried = tuple(map(self.shard.local, fresh))
        self.save(self.state.weights() if best else None)
        self.display.epoch(report)

    def validate(self, interrupt: Interrupt) -> float:
        """Return the perplexity of the validation text; upon a request to stop, the epoch is saved as trained."""
        try:
            return self.ranks.broadcast_scalar(lambda: self.score("valid", interrupt).perplexity)
        except KeyboardInterrupt:
            if self.ranks.is_single:
                self.save()
            raise

    def score_best(self, interrupt: Interrupt) -> None:
        self.state.model.load_state_dict(read_tensors(self.folder, "weights"))
        scores = {split: self.score(split, interrupt) for split in ("valid", "test")}
        values = {split: score.to_json() for split, score in scores.items()}
        self.log("end", total_seconds=self.state.progress.total_seconds, scores=values)
        self.folder.save(scores={**values, "protocol": PROTOCOL})
        for split, score in scores.items():
            self.display.message(f"{split} perplexity {score.perplexity:.2f} over {score.words:,} words ({PROTOCOL})")

    def score(self, split: str, interrupt: Interrupt) -> Score:
        """Return the score of the model as it is; an interrupt ends it after a window, unless other ranks wait."""
        vocabulary, tally = self.corpus.vocabulary, ScoreSum(self.corpus.vocabulary.unknown_id)
        windows = word_nlls(self.state.model, self.corpus.splits[split].ids, end_id=vocabulary.end_id)
        for _ in tally.over(windows):
            if interrupt.requested and self.ranks.is_single:
                raise KeyboardInterrupt
        return tally.score()

    def save(self, weights: bytes | None = None) -> None:
        """Save the state of all streams, in one step with new best weights; all ranks must do so together."""
        state = replace(self.state, carried=tuple(map(self.shard.gather, self.state.carried)))
        self.ranks.on_rank0(
            lambda: self.folder.save(state=state.to_bytes(), weights=weights, progress=replace(state.progress))
        )
        self._saved_at = time.monotonic()

    def log(self, event: str, **values: Any) -> None:
        if self.ranks.is_main:
            self.folder.log(event, self.state.progress, **values)

    def _not_finite(self, error: TrainingError) -> TrainingError:
        progress = self.state.progress
        return TrainingError(
            f"{error} It happened in epoch {progress.epoch}, window {progress.window}. The last good state "
            f"is kept in {self.folder.path}. Try a smaller --training.learning-rate, a smaller "
            "--training.clip-norm or, with the augmented loss, a smaller --loss.gamma."
        )


def window_report(progress: Progress, start: Progress, epochs: int, windows: int) -> WindowReport:
    """Return where an epoch of `windows` windows stands.

    Speed, and what is left by it, are those since `start`, where this process took the epoch up: another machine may
    have trained what lies before.
    """
    seconds = progress.seconds - start.seconds
    left = (epochs - progress.epoch + 1) * windows - progress.window
    return WindowReport(
        epoch=progress.epoch,
        epochs=epochs,
        window=progress.window,
        windows=windows,
        loss=progress.loss_sum / progress.words,
        cross_entropy=progress.cross_entropy_sum / progress.words,
        words_per_second=(progress.words - start.words) / max(seconds, 1e-9),
        seconds_left=left * (seconds / max(progress.window - start.window, 1)),
    )
