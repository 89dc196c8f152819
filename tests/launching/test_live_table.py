"""The table that a terminal shows."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from support.launch_rows import STANDING, row
from tiedlm.launching.job import State
from tiedlm.launching.live_table import HEADINGS, LiveTable


@pytest.fixture
def screen() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=120, height=40, color_system=None)


def last_table(screen: Console) -> list[list[str]]:
    """The cells of the table drawn last, row by row."""
    assert isinstance(screen.file, io.StringIO)
    lines = [line.split("\x1b")[0] for line in screen.file.getvalue().splitlines()]
    first = max(number for number, line in enumerate(lines) if "train CE perplexity" in line)
    return [[cell for cell in line.split("  ") if cell.strip()] for line in lines[first:] if line.strip()]


def test_a_row_for_each_job_and_why_one_failed(make_job, screen):
    done, runs = row(make_job("done"), State.FINISHED, STANDING), row(make_job("runs"), State.TRAINING, STANDING, 61.0)
    live = LiveTable(screen)
    live.message("[red]as it is")
    live.show([done, runs, row(make_job("new"), State.WAITING)])
    headings, _, first, second, third = last_table(screen)
    assert [cell.strip() for cell in headings] == list(HEADINGS)
    cells = ["2/3", "120.13", "130.00", "129.50", "5,012"]
    assert [cell.strip() for cell in first] == ["runs", "training", *cells, "1m01s"]  # first what is trained
    assert [cell.strip() for cell in second] == ["new", "waiting", "0/3"]
    assert [cell.strip() for cell in third] == ["done", "finished", *cells]
    live.show([done, row(make_job("runs"), State.FAILED, STANDING, reason="The disk is full.")])
    live.close()
    assert [line[0].strip() for line in last_table(screen)[2:4]] == ["done", "runs"]  # at the end, in their order
    assert isinstance(screen.file, io.StringIO)
    assert "runs failed: The disk is full. (log: a.log)" in screen.file.getvalue()
    assert "[red]as it is" in screen.file.getvalue()


def test_it_is_not_drawn_more_often_than_can_be_seen(make_job, screen):
    live = LiveTable(screen)
    for _ in range(20):
        live.show([row(make_job("runs"), State.TRAINING)])
    assert isinstance(screen.file, io.StringIO)
    assert screen.file.getvalue().count("train CE perplexity") == 1
    live.close()
