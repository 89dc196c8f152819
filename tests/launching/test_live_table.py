"""The table that a terminal shows."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from support.launch_rows import STANDING, row
from tiedlm.launching.job import State
from tiedlm.launching.live_table import HEADINGS, LiveTable

LONG = "text-small-real-seed-0"


@pytest.fixture
def screen() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80, height=40, color_system=None)


def last_table(screen: Console) -> list[list[str]]:
    """The cells of the table drawn last, row by row."""
    assert isinstance(screen.file, io.StringIO)
    lines = [line.split("\x1b")[0] for line in screen.file.getvalue().splitlines()]
    first = max(number for number, line in enumerate(lines) if "words/s" in line)
    return [[cell for cell in line.split("  ") if cell.strip()] for line in lines[first:] if line.strip()]


def test_a_row_for_each_job_and_why_one_failed(make_job, screen):
    done = row(make_job(LONG), State.FINISHED, STANDING)
    runs = row(make_job("runs"), State.TRAINING, STANDING, 61.0)
    live = LiveTable(screen)
    live.message("[red]as it is")
    live.show([done, runs, row(make_job("new"), State.WAITING)])
    headings, _, first, second, third = last_table(screen)[:5]
    assert [cell.strip() for cell in headings] == list(HEADINGS)
    assert [cell.strip() for cell in first] == [
        "runs",
        "training",
        "2/3",
        "120.13",
        "130.00",
        "5,012",
        "1m01s",
    ]  # first what is trained
    assert [cell.strip() for cell in second] == ["new", "waiting", "0/3"]
    assert [cell.strip() for cell in third] == [LONG, "finished", "2/3", "120.13", "129.50", "5,012"]
    live.show([done, row(make_job("runs"), State.FAILED, STANDING, reason="The disk is full.")])
    live.close()
    assert [line[0].strip() for line in last_table(screen)[2:4]] == [
        "text-small-real-seed-0",
        "runs",
    ]  # at the end, in their order
    assert isinstance(screen.file, io.StringIO)
    assert "runs failed: The disk is full. (log: a.log)" in screen.file.getvalue()
    assert "[red]as it is" in screen.file.getvalue()


def test_it_is_not_drawn_more_often_than_can_be_seen(make_job, screen):
    live = LiveTable(screen)
    for _ in range(20):
        live.show([row(make_job("runs"), State.TRAINING)])
    assert isinstance(screen.file, io.StringIO)
    assert screen.file.getvalue().count("words/s") == 1
    live.close()
