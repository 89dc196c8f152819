"""The process of the command line: its status, and signals from its first line to its last."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest


def run_module(*command: str, folder: Path | None = None) -> tuple[int, str]:
    """Status and standard error of `python -m`."""
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, cwd=folder)
    return done.returncode, done.stderr


def test_python_m_is_the_command_and_ends_with_its_status() -> None:
    assert run_module("tiedlm", "--version") == (0, "")
    status, message = run_module("tiedlm", "tarin")
    assert status == 2
    assert "Did you mean 'train'" in message


PROGRAM = """
import os, sys, tempfile, types
number, moment = sys.argv.pop(), sys.argv.pop()
def kill(): os.kill(os.getpid(), int(number))
def command(words):
    with tempfile.TemporaryDirectory(dir=".", prefix="begun"):
        return exec("kill()", {"kill": kill}) if moment == "running" else 0
sys.modules["tiedlm.cli.setup"] = types.SimpleNamespace(recipes=command)
class Finder:
    def find_spec(name, *_): return kill() if name == "tiedlm.cli.main" else None
if moment == "importing": sys.meta_path.insert(0, Finder)
if moment == "ending": __import__("atexit").register(kill)
from tiedlm.__main__ import run
run()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("moment", "outcome"),
    [("importing", (130, "tiedlm: interrupted\n")), ("running", (130, "tiedlm: interrupted\n")), ("ending", (0, ""))],
)
def test_a_signal_ends_the_process_with_status_130_unless_its_work_is_done(
    moment: str, outcome: tuple[int, str], number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    assert run_module("program", "recipes", moment, str(int(number)), folder=tmp_path) == outcome
    assert not list(tmp_path.glob("begun*"))  # what a command has begun is cleared away
