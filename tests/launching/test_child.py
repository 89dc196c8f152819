"""One process: its surroundings, its end, and the words for it."""

from __future__ import annotations

import signal
import time

import pytest

from tiedlm.cli.main import ERROR, INTERRUPTED
from tiedlm.errors import RunError
from tiedlm.launching import child as child_module
from tiedlm.launching.child import Child, log_of
from tiedlm.launching.job import State
from tiedlm.launching.lifeline import VARIABLE

WAITS = """
import signal, sys, time
def stop(number, frame):
    print("saved", flush=True)
    sys.exit(130)
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(300)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(300)"


def end(child):
    """The outcome, when there is one."""
    while (outcome := child.outcome()) is None:
        time.sleep(0.01)
    return outcome


def wait_until_ready(child):
    while b"ready" not in child.log.read_bytes():
        assert child.outcome() is None
        time.sleep(0.01)


def test_the_process_has_its_threads_a_lifeline_and_a_session_of_its_own(make_job, scripts, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    names = ("OMP_NUM_THREADS", VARIABLE)
    scripts["a"] = f"import os; print(*map(os.environ.get, {names}), os.getsid(0) == os.getpid(), os.read(0, 1))"
    child = Child(make_job("a"), threads=3)
    child._process.stdin.close()  # pyright: ignore[reportOptionalMemberAccess]
    assert end(child).state is State.FINISHED
    assert child.log.read_text() == "3 1 True b''\n"
    assert child.log == make_job("a").run_dir.parent / ".logs" / "a.log"


def test_the_log_goes_on(make_job, scripts):
    scripts["a"] = "print('once more')"
    for _ in range(2):
        child = Child(make_job("a"), threads=1)
        assert end(child).log == child.log
    assert log_of(make_job("a")).read_text() == "once more\n" * 2


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print('tiedlm: error: The loss is nan.\\nepoch 1', file=sys.stderr); sys.exit(2)", "The loss is nan."),
        ("print('tiedlm: error: a'); print('tiedlm: error: b'); sys.exit(2)", "b"),
        ("print('Traceback ...'); print('KeyError: 3'); print(); sys.exit(1)", "KeyError: 3"),
        ("sys.exit(1)", "ended with an error and told nothing"),
        ("print('epoch 1'); sys.stdout.flush(); os.kill(os.getpid(), signal.SIGKILL)", "when memory runs out"),
        ("print('epoch 1'); sys.stdout.flush(); os.kill(os.getpid(), signal.SIGBUS)", "ended by signal 7 (Bus error)"),
    ],
)
def test_a_failure_is_told_in_one_line(make_job, scripts, code, reason):
    scripts["a"] = "print('tiedlm: error: an old one')"
    end(Child(make_job("a"), threads=1))
    scripts["a"] = f"import os, signal, sys; {code}"
    outcome = end(Child(make_job("a"), threads=1))
    assert outcome.state is State.FAILED
    assert reason in (outcome.reason or "")
    assert "\n" not in (outcome.reason or "")
    assert outcome.seconds > 0


def test_a_process_that_is_asked_to_end_saves_and_is_not_killed(make_job, scripts):
    scripts["a"] = WAITS
    child = Child(make_job("a"), threads=1)
    wait_until_ready(child)
    child.kill_after(0.0)  # nobody has asked it to end
    assert child.outcome() is None
    child.stop()
    child.kill_after(300.0)
    outcome = end(child)
    assert (outcome.state, outcome.reason) == (State.STOPPED, None)
    assert child.log.read_text().endswith("saved\n")


def test_one_that_hangs_is_killed_in_the_end(make_job, scripts):
    scripts["a"] = DEAF
    child = Child(make_job("a"), threads=1)
    wait_until_ready(child)
    child.stop()
    time.sleep(0.02)
    child.kill_after(0.01)
    outcome = end(child)
    assert outcome.state is State.STOPPED
    assert "was killed" in (outcome.reason or "")


@pytest.mark.parametrize("code", ["sys.exit(130)", "os.kill(os.getpid(), signal.SIGTERM)"])
def test_one_that_somebody_else_stopped_says_so(make_job, scripts, code):
    scripts["a"] = f"import os, signal, sys; {code}"
    outcome = end(Child(make_job("a"), threads=1))
    assert (outcome.state, outcome.reason) == (State.STOPPED, "something else than the launcher stopped it")


def test_statuses_are_those_of_the_command_line():
    assert INTERRUPTED in child_module.INTERRUPTED
    assert ERROR not in child_module.INTERRUPTED
    assert -signal.SIGKILL not in child_module.INTERRUPTED


def test_a_log_that_cannot_be_written_is_an_error(make_job, tmp_path):
    (tmp_path / ".logs").write_text("in the way")
    with pytest.raises(RunError, match=r"a\.log could not be saved"):
        Child(make_job("a"), threads=1)
