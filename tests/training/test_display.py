"""What a training shows."""

import re
from dataclasses import replace

import pytest

from tiedlm.training.display import EpochReport, LiveDisplay, PlainDisplay, WindowReport, duration, for_stream

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


def test_a_pipe_gets_lines_of_epochs_and_now_and_then_a_window(capsys: pytest.CaptureFixture[str]) -> None:
    seldom = for_stream()
    assert isinstance(seldom, PlainDisplay)
    seldom.window(WINDOW)
    assert capsys.readouterr().out == ""
    often = PlainDisplay(every_seconds=0)
    often.window(WINDOW)
    often.window(replace(WINDOW, seconds_left=None))
    seldom.epoch(EPOCH)
    seldom.message("done")
    seldom.close()
    window, first, epoch, message = capsys.readouterr().out.splitlines()
    for line in (window, epoch):
        assert "loss 5.0000" in line
        assert re.search(r"CE perplexity 54\.60\b", line)  # e^4: of the cross-entropy alone; e^5 would be 148.41
    assert window.startswith("epoch 2/5  window 10/40  ")
    assert window.endswith("left 1m01s")
    assert first.endswith("left ?")
    assert "valid perplexity 81.25 (best)" in epoch
    assert message == "done"


def test_live_display_prints_epochs_without_reading_them_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    display = LiveDisplay()
    display.window(WINDOW)
    display.message("[red]kept as it is[/red]")
    display.close()
    assert "[red]kept as it is[/red]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0s"), (59.4, "59s"), (60, "1m00s"), (187, "3m07s"), (3720, "1h02m"), (3599.7, "1h00m")]
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
