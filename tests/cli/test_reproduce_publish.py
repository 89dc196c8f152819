"""Publishing beside a launch: one run after the other, refusals told, and what breaks is not hidden."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tiedlm.cli.reproduce_publish import Publishing
from tiedlm.errors import RunError
from tiedlm.launching import Job
from tiedlm.recipes import recipe


def job(name: str) -> Job:
    return Job(config=recipe("ptb-small-re"), run_dir=Path(name))


def test_runs_are_published_in_their_order_one_at_a_time_and_told_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    running = threading.Semaphore(1)

    def publish(one: Job) -> Path:
        assert running.acquire(blocking=False)
        running.release()
        return Path("results", one.name)

    publishing = Publishing(publish)
    for name in ("a", "b", "c"):
        publishing.begin(job(name))
    assert capsys.readouterr().out == ""
    assert publishing.end() == 0
    assert capsys.readouterr().out.splitlines() == [str(Path("results", name)) for name in "abc"]


def test_it_does_not_wait_before_the_end() -> None:
    go_on = threading.Event()

    def publish(one: Job) -> Path:
        assert go_on.wait(60)
        return one.run_dir

    publishing = Publishing(publish)
    publishing.begin(job("a"))
    go_on.set()
    assert publishing.end() == 0


def test_a_refusal_is_told_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    def publish(one: Job) -> Path:
        if one.name == "a":
            raise RunError("another result is there.")
        return one.run_dir

    publishing = Publishing(publish)
    publishing.begin(job("a"))
    publishing.begin(job("b"))
    assert publishing.end() == 1
    said = capsys.readouterr()
    assert said.err == "tiedlm: a was not published: another result is there.\n"
    assert said.out == "b\n"


def test_what_breaks_is_raised_where_it_is_waited_for() -> None:
    def publish(one: Job) -> Path:
        raise ZeroDivisionError

    publishing = Publishing(publish)
    publishing.begin(job("a"))
    with pytest.raises(ZeroDivisionError):
        publishing.end()


def test_without_a_run_there_is_nothing_to_wait_for() -> None:
    assert Publishing(lambda one: one.run_dir).end() == 0
