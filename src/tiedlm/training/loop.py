"""The training loop, from the first window to the scores, readable from top to bottom.

    for every epoch: for every window: masks, loss, step          (`training.step`)
    after every epoch: perplexity on the validation text, best weights kept
    at the end: the best weights scored on validation and test text

Everything random is drawn from (seed, purpose, counter), so the state on the disk is parameters, carried state and
a few numbers, and a resumed training ends with the bits of one never interrupted (on a GPU, up to the order of sums).

Several processes may train together, each with its share of the streams (`training.share`). All of them go through this
loop side by side; the first one alone validates, scores, shows and writes.
"""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from tiedlm.config import to_json
from tiedlm.data.streams import Streams
from tiedlm.errors import RunError, TrainingError, memory_errors_told
from tiedlm.native.ranks import SINGLE, Ranks
from tiedlm.nn.dropout import Masks
from tiedlm.runs.config import RunConfig, RuntimeConfig
from tiedlm.runs.folder import RunFolder
from tiedlm.seeding import generator
from tiedlm.training.display import Display, PlainDisplay, SilentDisplay
from tiedlm.training.interrupt import Interrupt, interruptible
from tiedlm.training.record import Record
from tiedlm.training.replayed import picked_gradients
from tiedlm.training.reports import Mark, advice, epoch_record, epoch_report, way_on, window_report
from tiedlm.training.schedule import first_window, learning_rate
from tiedlm.training.scores import score_best, stopped_by, validate
from tiedlm.training.share import Share
from tiedlm.training.start import TrainerState, create_run, record_session, restore_run
from tiedlm.training.step import train_window


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
    ranks.check_same(lambda: (Share(ranks, config.training.streams).streams, to_json(config), run_dir, start_from))
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
        runtime: on which device, in which precision, with which threads to go on; None: as before. Another one changes
            the last digits, or more with another precision, and is recorded in the run folder.
        data_dir: as for `train`; so are the other arguments. The number of ranks may be another than before.

    Raises:
        RunError: the folder is missing, damaged or in use; or another runtime for a training that is finished.
        ConfigError, CorpusError, TrainingError, ...: as `train`.
    """
    key = ("resume", run_dir, None if runtime is None else to_json(runtime))
    folder = ranks.check_same(lambda: RunFolder.open(run_dir), key=lambda _: key)
    display = (display or PlainDisplay()) if ranks.is_main else SilentDisplay()
    with ExitStack() as held:
        held.enter_context(memory_errors_told(way_on(folder.path)))
        held.callback(display.close)
        ranks.on_rank0(lambda: held.enter_context(folder.lock()))
        if runtime is not None and folder.is_finished:
            raise RunError(f"{folder.path} is finished: there is nothing left to be trained elsewhere.")
        state = ranks.check_same(lambda: restore_run(folder, data_dir, cache_dir, runtime), key=_consensus_key)
        ranks.on_rank0(lambda: _record_session(folder, state, display, ranks))
        Training(folder, state, display, ranks).run()
    return folder


def _record_session(folder: RunFolder, state: TrainerState, display: Display, ranks: Ranks) -> None:
    warning = record_session(folder, state, ranks.world_size)
    if warning is not None:
        display.message(warning)


def _consensus_key(state: TrainerState) -> object:
    """Return what all ranks must have restored alike."""
    return to_json(state.config), state.corpus.provenance, state.progress


class Training:
    """One training in progress: the loop and what it acts on."""

    def __init__(self, folder: RunFolder, state: TrainerState, display: Display, ranks: Ranks = SINGLE) -> None:
        config, corpus = self.config, self.corpus = state.config, state.corpus
        self.display, self.ranks = display, ranks
        self.share = Share(ranks, config.training.streams)
        self.state = replace(state, carried=self.share.carried(state.carried))
        self.streams = Streams(corpus.splits["train"].ids, config.training.streams, end_id=corpus.vocabulary.end_id)
        self.windows = self.streams.window_count(config.training.steps) + config.training.moving_windows
        self.gradients = picked_gradients(state.model.classifier.device)
        self.record = Record(folder, ranks, self.share, config.runtime.save_seconds)

    def run(self) -> None:
        """Train the epochs that are missing, then score."""
        progress = self.state.progress
        event = "start" if (progress.epoch, progress.window) == (1, 0) else "resume"
        self.record.note(progress, event, processes=self.ranks.world_size)
        with interruptible() as interrupt:
            while progress.epoch <= self.config.training.epochs:
                self.train_epoch(interrupt)
                self.end_epoch(interrupt)
            if not self.record.folder.is_finished:
                stop = stopped_by(interrupt, self.ranks)
                self.ranks.on_rank0(lambda: score_best(self.state, self.corpus, self.record, self.display, stop))

    def train_epoch(self, interrupt: Interrupt) -> None:
        """Train the windows of the epoch that are missing."""
        progress, training = self.state.progress, self.config.training
        mark = Mark.of(progress)
        first = first_window(self.config, progress.generation, progress.epoch)
        count = self.streams.window_count(training.steps, first)
        for inputs, targets in self.streams.windows(training.steps, progress.window, first):
            self.train_one_window(inputs, targets)
            self.display.window(window_report(progress, training, count, mark))
            stop, overdue = self.ranks.any(interrupt.asked, self.record.overdue)
            if stop or overdue:
                self.record.save(self.state)
            if stop:
                raise KeyboardInterrupt

    def train_one_window(self, inputs: Tensor, targets: Tensor) -> None:
        """Take one step and count it. A step that fails has changed nothing, and the state before it is saved."""
        began, state, progress = time.monotonic(), self.state, self.state.progress
        device, words = state.model.classifier.device, targets.numel()
        inputs, targets = (self.share.window(ids).to(device) for ids in (inputs, targets))
        rate, masks = learning_rate(self.config.training, progress.epoch), self._masks()
        try:
            result = train_window(
                state.model, rate, inputs, targets, state.carried, masks, self.config, self.ranks, self.gradients
            )
        except TrainingError as error:
            self.record.save(state)
            raise advice(error, progress, self.record.path) from error
        state.carried = result.carried
        progress.window += 1
        progress.words += words
        progress.loss_sum += result.loss_sum
        progress.cross_entropy_sum += result.cross_entropy_sum
        progress.seconds += time.monotonic() - began

    def end_epoch(self, interrupt: Interrupt) -> None:
        """Validate, keep the weights if they are the best so far, and save."""
        began, progress = time.monotonic(), self.state.progress
        valid = validate(self.state, self.corpus, self.record, self.ranks, interrupt)
        if not math.isfinite(valid):
            raise advice(TrainingError(f"The validation perplexity is {valid}."), progress, self.record.path)
        best = progress.best_valid_perplexity is None or valid < progress.best_valid_perplexity
        if best:
            progress.best_epoch, progress.best_valid_perplexity = progress.epoch, valid
        seconds = progress.seconds + time.monotonic() - began
        report = epoch_report(progress, self.config.training, valid, best, seconds)
        self.record.note(progress, "epoch", **epoch_record(report))
        progress.next_epoch(seconds)
        self.state.carried = self.share.carried(self.state.model.initial_state(self.streams.count))
        self.record.save(self.state, self.state.weights() if best else None)
        self.display.epoch(report)

    def _masks(self) -> Masks | None:
        progress = self.state.progress
        counter = (progress.epoch - 1) * self.windows + progress.window
        draws = generator(self.config.seed, f"masks of training {progress.generation}", counter)
        return self.share.masks(self.state.model, draws)
