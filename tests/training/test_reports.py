"""From progress to reports and journal lines."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tiedlm.runs.config import TrainingConfig
from tiedlm.runs.folder import Progress
from tiedlm.training.reports import Mark, epoch_record, epoch_report, way_on, window_report

TRAINING = TrainingConfig(epochs=4, constant_epochs=1, decay=0.5)
PROGRESS = Progress(epoch=3, window=5, words=100, loss_sum=500.0, cross_entropy_sum=400.0, seconds=20.0)


def test_window_report() -> None:
    report = window_report(PROGRESS, TRAINING, 10, Mark())
    assert (report.loss, report.cross_entropy, report.words_per_second) == (5.0, 4.0, 5.0)
    assert report.seconds_left == pytest.approx(15 * 4.0)  # 5 windows of this epoch, 10 of the last, 4 s each


def test_speed_is_that_of_this_process_and_the_loss_that_of_the_epoch() -> None:
    """A GPU trained 4 windows in a second; the 5th took 19 here."""
    report = window_report(PROGRESS, TRAINING, 10, Mark(window=4, words=80, seconds=1.0))
    assert (report.loss, report.cross_entropy) == (5.0, 4.0)
    assert report.words_per_second == pytest.approx(20 / 19)
    assert report.seconds_left == pytest.approx(15 * 19.0)


def test_a_mark_is_where_an_epoch_is_and_stays() -> None:
    progress = Progress(epoch=3, window=5, words=100, seconds=20.0)
    mark = Mark.of(progress)
    progress.window += 1
    assert mark == Mark(window=5, words=100, seconds=20.0)


def test_epoch_report_and_record() -> None:
    report = epoch_report(PROGRESS, TRAINING, 60.0, best=True, seconds=25.0)
    assert (report.learning_rate, report.seconds, report.seconds_left) == (0.25, 25.0, 25.0)
    record = epoch_record(report)
    assert record["train_loss"] == 5.0
    assert record["train_cross_entropy_perplexity"] == pytest.approx(math.exp(4.0), rel=1e-12)
    assert record["valid_perplexity"] == 60.0


def test_the_way_on_is_a_command_to_copy() -> None:
    assert way_on(Path("/my run")).endswith(": tiedlm train --resume '/my run'")
