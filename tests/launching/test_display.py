"""What a launch prints in a pipe: news and nothing twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.launch_rows import STANDING, row
from tiedlm.launching.display import PlainDisplay, for_stream
from tiedlm.launching.job import State
from tiedlm.launching.standing import Row


def test_a_line_for_each_piece_of_news(make_job, capsys):
    one, other = make_job("one"), make_job("other")
    display = PlainDisplay()

    def told(*rows: Row) -> list[str]:
        display.show(rows)
        return capsys.readouterr().out.splitlines()

    assert told(row(one, State.WAITING), row(other, State.WAITING)) == []
    assert told(row(one, State.TRAINING), row(other, State.FINISHED, STANDING)) == [
        "one    training",
        "other  finished  valid perplexity 129.50",
    ]
    rest = row(other, State.FINISHED, STANDING)
    news = "epoch 2/3  train CE perplexity 120.13  valid perplexity 130.00  5,012 words/s  left 1m01s"
    assert told(row(one, State.TRAINING, STANDING, 61.0), rest) == [f"one    training  {news}"]
    assert told(row(one, State.TRAINING, STANDING, 30.0), rest) == []
    third = replace(STANDING, epoch=3)
    assert told(row(one, State.TRAINING, third, 0.0), rest)[0].startswith("one    training  epoch 3/3  ")
    assert told(row(one, State.STOPPED, third, reason="the time is up"), rest)[0].startswith(
        "one    stopped (the time is up)  epoch 3/3  "
    )
    assert told(row(one, State.FAILED, third, reason="The disk is full."), rest) == [
        "one    failed: The disk is full. (log: a.log)"
    ]


def test_a_second_launch_tells_what_is_finished_and_where_the_others_stand(make_job, capsys):
    display = PlainDisplay()
    display.show([row(make_job("a"), State.FINISHED, STANDING), row(make_job("b"), State.TRAINING, STANDING)])
    assert [line.split("  ")[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["a", "finished"],
        ["b", "training"],
    ]


def test_a_pipe_gets_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    display = for_stream()
    assert isinstance(display, PlainDisplay)
    display.message("[red]as it is")
    display.close()
    assert capsys.readouterr().out == "[red]as it is\n"
