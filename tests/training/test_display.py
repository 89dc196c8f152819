"""What a training shows."""

from __future__ import annotations

import re

import pytest

from tiedlm.training.display import (
    EpochReport,
    LiveDisplay,
    PlainDisplay,
    WindowReport,
    epoch_line,
    for_stream,
    window_line,
)

WINDOW = WindowReport(
    epoch=2, epochs=5, window=10, windows=40, loss=5.0, cross_entropy=4.0, words_per_second=1234.5, seconds_left=61.0
)
EPOCH = EpochReport(
    epoch=2,
    epochs=5,
    learning_rate=0.5,
    loss=5.0,
    cross_entropy=4.0,
    valid_perplexity=81.25,
    best=True,
    words_per_second=1234.5,
    seconds=75.0,
    seconds_left=225.0,
)


def test_lines_name_the_perplexity_of_the_cross_entropy_alone() -> None:
    for line in (window_line(WINDOW), epoch_line(EPOCH)):
        assert "loss 5.0000" in line
        assert re.search(r"CE perplexity 54\.60\b", line)  # e^4; e^5 would be 148.41
        assert "148" not in line


def test_epoch_line_says_whether_it_is_the_best() -> None:
    assert "valid perplexity 81.25 (best)" in epoch_line(EPOCH)


def test_time_left_is_unknown_at_first() -> None:
    report = WindowReport(
        epoch=1, epochs=1, window=0, windows=1, loss=0, cross_entropy=0, words_per_second=0, seconds_left=None
    )
    assert window_line(report).endswith("left ?")


def test_plain_display_prints_epochs_and_now_and_then_a_window(capsys: pytest.CaptureFixture[str]) -> None:
    seldom = PlainDisplay(every_seconds=3600)
    seldom.window(WINDOW)
    assert capsys.readouterr().out == ""
    PlainDisplay(every_seconds=0).window(WINDOW)
    seldom.epoch(EPOCH)
    seldom.message("done")
    seldom.close()
    assert capsys.readouterr().out.splitlines() == [window_line(WINDOW), epoch_line(EPOCH), "done"]


def test_a_pipe_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(for_stream(), PlainDisplay)


def test_live_display_prints_epochs_without_reading_them_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    display = LiveDisplay()
    display.window(WINDOW)
    display.message("[red]kept as it is[/red]")
    display.close()
    assert "[red]kept as it is[/red]" in capsys.readouterr().out
