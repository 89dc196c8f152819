"""The training loop: resuming to the bit, interrupts, failures, second trainings, golden losses."""

import json
import math
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch

from support.runs import Recorder
from support.small_text import wide_config
from tiedlm import seeding
from tiedlm.errors import OutOfMemoryError, RunError, TrainingError
from tiedlm.evaluation.perplexity import perplexity
from tiedlm.nn.config import GRUConfig, ModelConfig, RHNConfig
from tiedlm.nn.model import LanguageModel, State
from tiedlm.runs.config import RunConfig
from tiedlm.runs.folder import Progress, RunFolder
from tiedlm.runs.load import load_run
from tiedlm.training import loop
from tiedlm.training.display import EpochReport
from tiedlm.training.loop import Trainer, first_window, resume, train, window_report
from tiedlm.training.step import StepResult, training_step


def test_every_epoch_has_its_rate_and_begins_without_history_and_the_best_weights_are_kept_and_scored(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows: list[tuple[float, bool]] = []

    def weights(model: LanguageModel, rate: float) -> dict[str, torch.Tensor]:
        ends = (-rate, rate)
        return {name: torch.linspace(*ends, value.numel()).view_as(value) for name, value in model.state_dict().items()}

    def step(model: LanguageModel, rate: float, inputs: object, targets: object, state: State, *_: Any) -> StepResult:
        windows.append((rate, any(bool(tensor.any()) for tensor in state)))
        model.load_state_dict(weights(model, rate))
        return StepResult(1.0, 1.0, tuple(torch.ones_like(tensor) for tensor in state))

    perplexities = iter([90.0, 80.0, 85.0])
    monkeypatch.setattr(loop, "training_step", step)
    monkeypatch.setattr(Trainer, "validate", lambda *_: next(perplexities))
    recorder = Recorder()
    folder = train(config, tmp_path / "run", display=recorder)
    reports = [report for report in recorder.shown if isinstance(report, EpochReport)]
    assert [(report.valid_perplexity, report.best) for report in reports] == [(90.0, True), (80.0, True), (85.0, False)]
    count = len(windows) // 3
    assert count > 1
    assert windows == [(rate, window > 0) for rate in (2.0, 1.0, 0.5) for window in range(count)]
    assert folder.record.progress.best_epoch == 2
    loaded = load_run(folder.path)
    for name, value in weights(loaded.model, 1.0).items():
        assert torch.equal(loaded.model.state_dict()[name], value)
    # reloaded, they have the same score to the last digit
    vocabulary = loaded.vocabulary
    text = Path(config.corpus.test or "").read_text().replace("\n", " <eos> ").split()
    ids = torch.tensor(vocabulary.ids(text)).numpy()
    score = perplexity(loaded.model, ids, end_id=vocabulary.end_id, unknown_id=vocabulary.unknown_id)
    assert score.to_json() == folder.scores()["test"] == folder.journal()[-1]["scores"]["test"]


GRU = GRUConfig(units=16, keep_input=0.9, keep_hidden=0.9)
RHN = RHNConfig(units=16, depth=2, tied=True, keep_words=0.9, keep_input=0.9, keep_state=0.9, keep_output=0.9)


@pytest.mark.parametrize(
    ("stop_at", "model"),
    [((1, 1), None), ((1, 17), None), ((2, 5), None), ((3, 1), None), ((2, 5), GRU), ((2, 5), RHN), ((2, 5), "wide")],
)
def test_interrupted_and_resumed_is_equal_to_the_bit(
    config: RunConfig, tmp_path: Path, stop_at: tuple[int, int], model: ModelConfig | str | None
) -> None:
    if model == "wide":
        config = wide_config(tmp_path / "wide")
    elif not isinstance(model, str | None):
        slow = replace(config.training, learning_rate=0.3, weight_decay=1e-4, moving_windows=True)
        config = replace(config, model=model, training=slow)
    whole = train(config, tmp_path / "whole")

    interrupt = Recorder(lambda: os.kill(os.getpid(), signal.SIGINT), stop_at)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "cut", display=interrupt)
    progress = RunFolder.open(tmp_path / "cut").record.progress
    assert (progress.epoch, progress.window) == stop_at
    folder = resume(tmp_path / "cut")
    assert folder.read("weights") == whole.read("weights")
    assert folder.scores() == whole.scores()
    records = folder.journal()
    assert [r["event"] for r in records].count("epoch") == 3
    assert records[-1]["event"] == "end"


@pytest.mark.parametrize(("call", "requests"), [(2, 1), (2, 2), (4, 1)])
def test_an_interrupt_while_it_validates_or_scores_the_best_weights_does_not_wait_and_loses_nothing(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int, requests: int
) -> None:
    whole = train(config, tmp_path / "whole")
    calls, score = [], Trainer.score

    def interrupted_score(trainer: Trainer, *arguments: Any) -> Any:
        calls.append(arguments)
        for _ in range(requests if len(calls) == call else 0):
            os.kill(os.getpid(), signal.SIGTERM)
        result = score(trainer, *arguments)
        assert len(calls) < call
        return result

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "score", interrupted_score)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "cut")
    progress, recorder = RunFolder.open(tmp_path / "cut").record.progress, Recorder()
    folder = resume(tmp_path / "cut", display=recorder)
    assert progress.epoch == call
    assert progress.window == len([report for report in recorder.windows if report.epoch == 3])
    assert not [report for report in recorder.windows if report.epoch == 2]
    assert folder.read("weights") == whole.read("weights")
    assert folder.scores() == whole.scores()
    assert [record["event"] for record in folder.journal()].count("epoch") == 3


def test_moving_windows_begin_elsewhere_in_every_epoch_and_repeat_no_mask(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "generator", draw := Mock(wraps=seeding.generator))
    recorder = Recorder()
    train(replace(config, training=replace(config.training, moving_windows=True)), tmp_path / "run", display=recorder)
    drawn = [call.args[2] for call in draw.call_args_list]
    assert len(set(drawn)) == len(drawn) == len(recorder.windows)
    ends = [report for report in recorder.windows if report.window == report.windows]
    assert [report.epoch for report in ends] == [1, 2, 3]
    fixed = Recorder()
    train(config, tmp_path / "fixed", display=fixed)
    assert [report.loss for report in recorder.windows] != [report.loss for report in fixed.windows]


def test_every_length_of_a_first_window_comes_up_and_depends_on_seed_training_and_epoch(config: RunConfig) -> None:
    assert first_window(config, 1, 1) is None
    config = replace(config, training=replace(config.training, moving_windows=True, steps=7))
    drawn = [first_window(config, 1, epoch) for epoch in range(1, 101)]
    assert set(drawn) == set(range(1, 8))
    assert drawn == [first_window(config, 1, epoch) for epoch in range(1, 101)]
    assert drawn != [first_window(config, 2, epoch) for epoch in range(1, 101)]
    assert drawn != [first_window(replace(config, seed=1), 1, epoch) for epoch in range(1, 101)]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (TrainingError("The loss is nan."), r"is nan.*epoch 1, window 4.*--training\.learning-rate"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), r"units.*--resume '.*/cut run'"),
    ],
)
def test_a_step_that_fails_keeps_a_good_state_and_says_how_to_go_on(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    kind = TrainingError if isinstance(error, TrainingError) else OutOfMemoryError
    calls: list[object] = []

    def failing_the_fifth_time(model: LanguageModel, *arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) < 5:
            return training_step(model, *arguments)
        if kind is OutOfMemoryError:  # in the midst of an update
            with torch.no_grad():
                model.classifier.zero_()
        raise error

    config = config.with_epochs(1)
    whole = train(config, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(loop, "training_step", failing_the_fifth_time)
        with pytest.raises(kind, match=message):
            train(config, tmp_path / "cut run")
    folder = resume(tmp_path / "cut run")
    assert folder.read("weights") == whole.read("weights")


def test_validation_perplexity_that_is_not_finite_stops(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "validate", lambda *_: float("nan"))
    with pytest.raises(TrainingError, match=r"The validation perplexity is nan.*epoch 1"):
        train(config, tmp_path / "run")
    assert not RunFolder.open(tmp_path / "run").has_weights


def test_resuming_refuses_another_text(config: RunConfig, tmp_path: Path) -> None:
    folder = train(config.with_epochs(1), tmp_path / "run")
    text = Path(config.corpus.train or "")
    text.write_text(text.read_text() + "one more line\n")
    with pytest.raises(RunError, match=r"The train text of .*train\.txt, has changed since"):
        resume(folder.path)


def test_golden_losses(config: RunConfig, tmp_path: Path) -> None:
    """Of the first epoch alone, since its last bits are percents of the next. A change belongs into the changelog."""
    epoch = train(config, tmp_path / "run").journal()[1]
    golden = json.loads((Path(__file__).parent / "golden_losses.json").read_text())
    assert [[epoch["train_loss"], epoch["valid_perplexity"]]] == [pytest.approx(row, rel=1e-4) for row in golden]
    # the augmented loss is never called a perplexity
    assert epoch["train_loss"] > math.log(epoch["train_cross_entropy_perplexity"])
    assert "train_perplexity" not in epoch


def test_speed_is_that_of_this_process_and_the_loss_that_of_the_epoch() -> None:
    """A GPU trained 4 windows in a second; the 5th took 19 here. Of this epoch and the last, 5 and 10 are left."""
    progress = Progress(epoch=3, window=5, words=100, loss_sum=500.0, cross_entropy_sum=400.0, seconds=20.0)
    for start, rate, each in ((Progress(), 5.0, 4.0), (Progress(window=4, words=80, seconds=1.0), 20 / 19, 19.0)):
        report = window_report(progress, start, 4, 10)
        assert (report.loss, report.cross_entropy) == (5.0, 4.0)
        assert report.words_per_second == pytest.approx(rate)
        assert report.seconds_left == pytest.approx(15 * each)


def test_a_state_is_saved_so_many_seconds_after_the_last_save(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, saved_at = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    save = Trainer.save

    def noted_save(trainer: Trainer, weights: bytes | None = None) -> None:
        saved_at.append(clock[0])
        save(trainer, weights)

    def tick() -> None:
        clock[0] += 100.0

    monkeypatch.setattr(Trainer, "save", noted_save)
    config = replace(config.with_epochs(1), runtime=replace(config.runtime, save_seconds=300.0))
    recorder = Recorder(tick)
    train(config, tmp_path / "run", display=recorder)
    seconds = 100.0 * len(recorder.windows)
    assert saved_at == [*(300.0 * number for number in range(1, int(seconds // 300) + 1)), seconds]
