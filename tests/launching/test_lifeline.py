"""A process ends when the writing end of its standard input is closed, if that was asked for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from tiedlm.launching.lifeline import VARIABLE, hold_on

CODE = """
import os, signal, sys, threading
from tiedlm.launching.lifeline import VARIABLE, hold_on
asked = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: (print("asked to end", flush=True), sys.exit(7)))
hold_on()
assert VARIABLE not in os.environ
print("ready", flush=True)
signal.pause()
"""


def started(**environment: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", CODE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_the_end_of_the_input_asks_the_process_to_end() -> None:
    with started(**{VARIABLE: "1"}) as process:
        assert process.stdin is not None
        process.stdin.write("what is read is not the end\n")
        process.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.stdin.close()
        assert process.wait(60) == 7


def test_nothing_is_watched_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    before = threading.enumerate()
    hold_on()
    assert threading.enumerate() == before
    with started() as process:
        assert process.stdin is not None
        process.stdin.close()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 7
