"""The training loop: resuming to the bit, interrupts, failures, second trainings, golden losses."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from support.small_text import small_config, wide_config
from tiedlm import seeding
from tiedlm.config import to_json
from tiedlm.errors import OutOfMemoryError, RunError, TrainingError
from tiedlm.evaluation.perplexity import perplexity
from tiedlm.nn.config import GRUConfig, ModelConfig, RHNConfig
from tiedlm.nn.model import LanguageModel, State
from tiedlm.runs.config import RunConfig
from tiedlm.runs.folder import RunFolder
from tiedlm.runs.load import load_run, read_tensors
from tiedlm.training import loop, scores
from tiedlm.training.display import EpochReport, WindowReport
from tiedlm.training.loop import resume, train
from tiedlm.training.step import StepResult, train_window


class Recorder:
    """Keeps the reports; may act on one of them."""

    def __init__(self, on_window: Any = None) -> None:
        self.epochs: list[EpochReport] = []
        self.windows: list[WindowReport] = []
        self.messages: list[str] = []
        self.on_window = on_window

    def message(self, text: str) -> None:
        self.messages.append(text)

    def window(self, report: WindowReport) -> None:
        self.windows.append(report)
        if self.on_window:
            self.on_window(report)

    def epoch(self, report: EpochReport) -> None:
        self.epochs.append(report)

    def close(self) -> None:
        pass


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    return small_config(tmp_path / "text")


def run(config: RunConfig, tmp_path: Path, name: str, **options: Any) -> RunFolder:
    options = {"display": Recorder(), "cache_dir": tmp_path / "cache", **options}
    return train(config, tmp_path / name, **options)


def test_a_training_learns_keeps_its_best_weights_and_scores_them(config: RunConfig, tmp_path: Path) -> None:
    recorder = Recorder()
    folder = run(config, tmp_path, "run", display=recorder)
    valid = [report.valid_perplexity for report in recorder.epochs]
    words = len(load_run(folder.path).vocabulary)
    assert valid[-1] < words / 2
    scores = folder.scores()
    assert scores["valid"]["perplexity"] == min(valid)
    assert set(scores) == {"valid", "test", "protocol"}
    assert [report.best for report in recorder.epochs] == [
        value == min(valid[: i + 1]) for i, value in enumerate(valid)
    ]


def test_every_epoch_has_its_rate_and_begins_without_history_and_the_best_weights_are_kept(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows: list[tuple[float, bool]] = []

    def step(model: LanguageModel, rate: float, inputs: object, targets: object, carried: State, *_: Any) -> StepResult:
        windows.append((rate, any(bool(tensor.any()) for tensor in carried)))
        model.load_state_dict({name: torch.full_like(value, rate) for name, value in model.state_dict().items()})
        return StepResult(1.0, 1.0, tuple(torch.ones_like(tensor) for tensor in carried))

    perplexities = iter([90.0, 80.0, 85.0])
    monkeypatch.setattr(loop, "train_window", step)
    monkeypatch.setattr(loop, "validate", lambda *_: next(perplexities))
    folder = run(config, tmp_path, "run")
    count = len(windows) // 3
    assert count > 1
    assert windows == [(rate, window > 0) for rate in (2.0, 1.0, 0.5) for window in range(count)]
    assert all(bool((weight == 1.0).all()) for weight in read_tensors(folder, "weights").values())
    assert folder.record.progress.best_epoch == 2


def test_reloaded_weights_give_the_same_score_to_the_last_digit(config: RunConfig, tmp_path: Path) -> None:
    folder = run(config, tmp_path, "run")
    loaded = load_run(folder.path)
    vocabulary = loaded.vocabulary
    text = Path(config.corpus.test or "").read_text().replace("\n", " <eos> ").split()
    ids = torch.tensor(vocabulary.ids(text)).numpy()
    score = perplexity(loaded.model, ids, end_id=vocabulary.end_id, unknown_id=vocabulary.unknown_id)
    assert score.to_json() == folder.scores()["test"]


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
    whole = run(config, tmp_path, "whole")

    def interrupt(report: WindowReport) -> None:
        if (report.epoch, report.window) == stop_at:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(config, tmp_path, "cut", display=Recorder(interrupt))
    progress = RunFolder.open(tmp_path / "cut").record.progress
    assert (progress.epoch, progress.window) == stop_at
    folder = resume(tmp_path / "cut", cache_dir=tmp_path / "cache", display=Recorder())
    assert folder.read("weights") == whole.read("weights")
    assert folder.scores() == whole.scores()
    records = folder.journal()
    assert [r["event"] for r in records].count("epoch") == 3
    assert records[-1]["event"] == "end"


@pytest.mark.parametrize("requests", [1, 2])
def test_an_interrupt_while_it_validates_does_not_wait_and_loses_nothing(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, requests: int
) -> None:
    whole = run(config, tmp_path, "whole")
    calls, scored = [], scores.score

    def score(*given: Any) -> Any:
        calls.append(given)
        for _ in range(requests if len(calls) == 2 else 0):
            os.kill(os.getpid(), signal.SIGTERM)
        found = scored(*given)
        assert len(calls) == 1
        return found

    with monkeypatch.context() as patch:
        patch.setattr(scores, "score", score)
        with pytest.raises(KeyboardInterrupt):
            run(config, tmp_path, "cut")
    progress, recorder = RunFolder.open(tmp_path / "cut").record.progress, Recorder()
    folder = resume(tmp_path / "cut", cache_dir=tmp_path / "cache", display=recorder)
    assert progress.epoch == 2
    assert progress.window == len([report for report in recorder.windows if report.epoch == 3])
    assert not [report for report in recorder.windows if report.epoch == 2]
    assert folder.read("weights") == whole.read("weights")
    assert folder.scores() == whole.scores()
    assert [record["event"] for record in folder.journal()].count("epoch") == 3


def test_an_interrupt_while_the_best_weights_are_scored_loses_nothing(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_asked(*given: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        scores.score_best(*given)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "score_best", first_asked)
        with pytest.raises(KeyboardInterrupt):
            run(config, tmp_path, "cut")
    assert not RunFolder.open(tmp_path / "cut").is_finished
    folder = resume(tmp_path / "cut", cache_dir=tmp_path / "cache", display=Recorder())
    assert folder.scores() == run(config, tmp_path, "whole").scores()


def test_moving_windows_begin_elsewhere_in_every_epoch_and_repeat_no_mask(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []

    def counted(seed: int, purpose: str, counter: int) -> torch.Generator:
        drawn.append(counter)
        return seeding.generator(seed, purpose, counter)

    monkeypatch.setattr(loop, "generator", counted)
    recorder = Recorder()
    run(replace(config, training=replace(config.training, moving_windows=True)), tmp_path, "run", display=recorder)
    assert len(set(drawn)) == len(drawn) == len(recorder.windows)
    ends = [report for report in recorder.windows if report.window == report.windows]
    assert [report.epoch for report in ends] == [1, 2, 3]
    resting = Recorder()
    run(config, tmp_path, "resting", display=resting)
    moved, rested = ([report.loss for report in one.windows] for one in (recorder, resting))
    assert moved != rested


def test_other_seeds_give_other_weights_and_the_same_seed_the_same(config: RunConfig, tmp_path: Path) -> None:
    config = config.with_epochs(1)
    first, again = run(config, tmp_path, "first"), run(config, tmp_path, "again")
    other = run(replace(config, seed=4), tmp_path, "other")
    assert first.read("weights") == again.read("weights")
    assert first.read("weights") != other.read("weights")


def test_resuming_a_finished_training_changes_nothing(config: RunConfig, tmp_path: Path) -> None:
    folder = run(config.with_epochs(1), tmp_path, "run")
    before = folder.record
    again = resume(folder.path, cache_dir=tmp_path / "cache", display=Recorder())
    assert again.record == before


def failing_the_fifth_time(fail: Callable[[LanguageModel], NoReturn]) -> Callable[..., Any]:
    """`train_window`, in whose fifth call `fail` is called with the model instead."""
    calls = []

    def window(model: LanguageModel, *arguments: Any) -> Any:
        calls.append(1)
        return fail(model) if len(calls) == 5 else train_window(model, *arguments)

    return window


def test_loss_that_is_not_finite_stops_and_keeps_the_last_good_state(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: LanguageModel) -> NoReturn:
        raise TrainingError("The loss is nan.")

    whole = run(config, tmp_path, "whole")
    monkeypatch.setattr(loop, "train_window", failing_the_fifth_time(fail))
    with pytest.raises(TrainingError, match=r"The loss is nan.*epoch 1, window 4.*--training\.learning-rate"):
        run(config, tmp_path, "failed")
    monkeypatch.undo()
    folder = resume(tmp_path / "failed", cache_dir=tmp_path / "cache", display=Recorder())
    assert folder.read("weights") == whole.read("weights")


def test_validation_perplexity_that_is_not_finite_stops(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "validate", lambda *_: float("nan"))
    with pytest.raises(TrainingError, match=r"The validation perplexity is nan.*epoch 1"):
        run(config, tmp_path, "run")
    assert not RunFolder.open(tmp_path / "run").has_weights


def test_a_lack_of_memory_keeps_the_state_saved_last_and_says_how_to_go_on(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(model: LanguageModel) -> NoReturn:
        with torch.no_grad():
            model.classifier.zero_()  # half an update
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    config = config.with_epochs(1)
    whole = run(config, tmp_path, "whole")
    monkeypatch.setattr(loop, "train_window", failing_the_fifth_time(fail))
    with pytest.raises(OutOfMemoryError, match=r"--model\.units.*tiedlm train --resume '.*/short run'"):
        run(config, tmp_path, "short run")
    monkeypatch.undo()
    folder = resume(tmp_path / "short run", cache_dir=tmp_path / "cache", display=Recorder())
    assert folder.read("weights") == whole.read("weights")


def test_second_training_starts_from_the_weights_of_the_first(config: RunConfig, tmp_path: Path) -> None:
    first = run(config, tmp_path, "first")
    recorder = Recorder()
    second = run(config, tmp_path, "second", start_from=first.path, display=recorder)
    parent = second.record.parent or {}
    assert (parent["recipe"], parent["seed"]) == ("small", 3)
    assert second.record.progress.generation == 2
    reached = torch.tensor(first.scores()["valid"]["perplexity"]).log()
    untrained = torch.tensor(float(len(load_run(first.path).vocabulary))).log()
    assert abs(recorder.windows[0].cross_entropy - reached) < abs(recorder.windows[0].cross_entropy - untrained) / 2


def test_second_training_draws_other_masks(config: RunConfig, tmp_path: Path) -> None:
    first = run(config.with_epochs(1), tmp_path, "first")
    second = run(config.with_epochs(1), tmp_path, "second", start_from=first.path)
    losses = [folder.journal()[1]["train_loss"] for folder in (first, second)]
    assert losses[0] != losses[1]


def test_second_training_refuses_another_model(config: RunConfig, tmp_path: Path) -> None:
    first = run(config.with_epochs(1), tmp_path, "first")
    wider = replace(config, model=replace(config.model, units=9))
    with pytest.raises(RunError, match="another model"):
        run(wider, tmp_path, "second", start_from=first.path)
    assert not (tmp_path / "second").exists()


def test_second_training_may_keep_other_shares_of_units(config: RunConfig, tmp_path: Path) -> None:
    first = run(config.with_epochs(1), tmp_path, "first")
    bare = replace(config, model=replace(config.model, keep_input=0.9, keep_hidden=0.6))
    second = run(bare.with_epochs(1), tmp_path, "second", start_from=first.path)
    assert to_json(second.config())["model"]["keep_hidden"] == 0.6


def test_resuming_refuses_another_text(config: RunConfig, tmp_path: Path) -> None:
    folder = run(config.with_epochs(1), tmp_path, "run")
    text = Path(config.corpus.train or "")
    text.write_text(text.read_text() + "one more line\n")
    with pytest.raises(RunError, match=r"The train text of .*train\.txt, has changed since"):
        resume(folder.path, cache_dir=tmp_path / "cache", display=Recorder())


def test_a_run_folder_is_not_overwritten(config: RunConfig, tmp_path: Path) -> None:
    run(config.with_epochs(1), tmp_path, "run")
    with pytest.raises(RunError, match="exists already"):
        run(config.with_epochs(1), tmp_path, "run")


def test_journal_never_calls_the_augmented_loss_a_perplexity(config: RunConfig, tmp_path: Path) -> None:
    folder = run(config.with_epochs(1), tmp_path, "run")
    record = next(r for r in folder.journal() if r["event"] == "epoch")
    assert record["train_loss"] > torch.tensor(record["train_cross_entropy_perplexity"]).log()
    assert "train_perplexity" not in record


def test_golden_losses(config: RunConfig, tmp_path: Path) -> None:
    """A change of these numbers belongs into the changelog, under changes that move numbers.

    Of the first epoch alone: at this learning rate the last bits of one epoch are percents of the next, so that the
    definition and the chunks end apart.
    """
    folder = run(config, tmp_path, "run")
    records = [r for r in folder.journal() if r["event"] == "epoch"][:1]
    golden = json.loads((Path(__file__).parent / "golden_losses.json").read_text())
    found = [[r["train_loss"], r["valid_perplexity"]] for r in records]
    assert torch.tensor(found) == pytest.approx(torch.tensor(golden), rel=1e-4)


def test_speed_is_told_of_this_process_alone(config: RunConfig, tmp_path: Path) -> None:
    """What was trained before may have been on a slower machine: here each window before the cut took a day."""

    def stop(report: WindowReport) -> None:
        if report.epoch == 2 and report.window == 5:
            raise KeyboardInterrupt

    config = config.with_epochs(2)
    with pytest.raises(KeyboardInterrupt):
        run(config, tmp_path, "run", display=Recorder(stop))
    folder = RunFolder.open(tmp_path / "run")
    progress = folder.record.progress
    assert (progress.epoch, progress.window > 0) == (2, True)
    folder.save(progress=replace(progress, seconds=86_400.0 * progress.window))
    recorder = Recorder()
    resume(folder.path, cache_dir=tmp_path / "cache", display=recorder)
    assert recorder.windows[0].words_per_second > 1
    left = recorder.windows[0].seconds_left
    assert left is not None
    assert left < 86_400
