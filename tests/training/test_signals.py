"""Requests to end: by a signal, and by the end of the launcher's pipe."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from tiedlm.training.processes import EXIT_VARIABLE, exit_with_parent, interruptible


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_the_second_one_stops_and_handlers_are_put_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with interruptible() as interrupt:
        assert not interrupt.requested
        os.kill(os.getpid(), number)
        assert interrupt.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_other_threads_leave_signals_alone() -> None:
    seen: list[object] = []

    def work() -> None:
        with interruptible():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]


WATCHES_ITS_INPUT = """
import signal, sys
from tiedlm.training.processes import exit_with_parent
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
exit_with_parent()
print("ready", flush=True)
signal.pause()
"""


def test_a_process_ends_with_its_input_only_where_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(EXIT_VARIABLE, raising=False)
    before = threading.enumerate()
    exit_with_parent()
    assert threading.enumerate() == before
    with subprocess.Popen(
        [sys.executable, "-c", WATCHES_ITS_INPUT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {EXIT_VARIABLE: "1"},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("what is read is not the end\n")
        process.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.stdin.close()
        assert process.wait(60) == 7
