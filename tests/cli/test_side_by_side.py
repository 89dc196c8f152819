"""Commands at one time: their lines, their statuses, and what an interrupt does to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tiedlm.cli.side_by_side import cores, side_by_side

WAITS = """
import signal, sys, time
from pathlib import Path
def stop(number, frame):
    print("stopped in good order", flush=True)
    sys.exit(130)
signal.signal(signal.SIGINT, stop)
Path(sys.argv[1]).touch()
time.sleep(60)
"""


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def meets(mine: Path, other: Path) -> list[str]:
    """A command that ends well only while the other one runs too."""
    code = "import sys,time,pathlib as p; p.Path(sys.argv[1]).touch(); n=0\nwhile not p.Path(sys.argv[2]).exists():"
    return python(f"{code}\n time.sleep(0.02); n+=1\n if n > 500: sys.exit(3)", str(mine), str(other))


def test_lines_bear_the_label_and_statuses_come_back(capfd: pytest.CaptureFixture[str]) -> None:
    commands = {
        "one": python("print('first'); print('second')"),
        "three": python("import sys; print('wrong', file=sys.stderr); sys.exit(3)"),
    }
    assert side_by_side(commands, at_once=1) == {"one": 0, "three": 3}
    assert capfd.readouterr().out.splitlines() == ["one   | first", "one   | second", "three | wrong"]


def test_they_run_at_one_time(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    assert side_by_side({"a": meets(here, there), "b": meets(there, here)}, at_once=2) == {"a": 0, "b": 0}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_passed_on_and_waits_for_them(
    number: signal.Signals, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    started = tmp_path / "started"

    def interrupt() -> None:
        while not started.exists():
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what it runs in the background
        pytest.skip("interrupts are ignored where these tests run")
    threading.Thread(target=interrupt).start()
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        side_by_side({"a": python(WAITS, str(started)), "b": python("print('never')")}, at_once=1)
    assert capfd.readouterr().out == "a | stopped in good order\n"
    assert signal.getsignal(signal.SIGTERM) is before


def test_cores_are_those_that_may_be_used() -> None:
    command = "from tiedlm.cli.side_by_side import cores; print(cores())"
    assert cores() >= 1
    if hasattr(os, "sched_setaffinity"):
        code = f"import os; os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}}); {command}"
        found = subprocess.run(python(code), capture_output=True, text=True, check=True)
        assert found.stdout == "1\n"
