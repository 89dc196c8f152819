import errno
import os
import subprocess
import sys
from unittest.mock import Mock

import pytest

from tiedlm import __version__
from tiedlm.cli import main as main_module
from tiedlm.errors import CorpusError

COMMAND = [sys.executable, "-m", "tiedlm"]
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def test_help_and_version(tiedlm):
    assert tiedlm("-h") == tiedlm("help") == tiedlm("--help")
    answer = tiedlm()
    assert (answer.status, answer.output) == (2, "")
    assert answer.error == tiedlm("--help").output
    assert tiedlm("--version").output == f"tiedlm {__version__}\n"


def test_what_is_wrong_with_a_line_is_printed_without_control_characters(tiedlm):
    answer = tiedlm("demo", "\x1b[2J")
    assert (answer.status, answer.output) == (2, "")
    assert "\\u001b[2J" in answer.error
    assert "\x1b" not in answer.error


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (CorpusError("The text is empty."), 2, "tiedlm: error: The text is empty.\n"),
        (PermissionError(errno.EACCES, "Permission denied", "a.txt"), 2, "tiedlm: error: a.txt: Permission denied\n"),
        (OSError(errno.ENOSPC, "No space left"), 2, "tiedlm: error: reading or writing failed: No space left\n"),
        (KeyboardInterrupt(), 130, "tiedlm: interrupted\n"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, ""),
    ],
)
def test_an_error_is_one_message_and_a_status(tiedlm, monkeypatch, error, status, message):
    monkeypatch.setattr(main_module, "import_module", lambda name: Mock(recipes=Mock(side_effect=error)))
    answer = tiedlm("recipes")
    assert (answer.status, answer.output, answer.error) == (status, "", message)


@pytest.mark.parametrize(
    ("closed", "arguments", "status"),
    [(">&-", ["recipes", "--help"], 0), ("<&- 2>&-", ["scroe"], 2)],
)
def test_a_stream_that_is_closed_is_no_error(closed, arguments, status):
    done = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *COMMAND, *arguments], capture_output=True)
    assert (done.returncode, done.stderr) == (status, b"")


def test_a_closed_standard_input_reads_as_an_empty_one():
    code = (
        "import sys, types; from tiedlm.cli import main\n"
        "read = lambda arguments: print(sys.stdin.isatty(), sys.stdin.buffer.read())\n"
        "main.import_module = lambda name: types.SimpleNamespace(predict=read)\n"
        "main.main(['predict'])"
    )
    done = subprocess.run(["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-c", code], capture_output=True)
    assert (done.stdout, done.stderr) == (b"False b''\n", b"")


def test_a_reader_that_goes_away_is_no_error_and_a_full_disk_is_one():
    arguments = ["recipes", "--help"]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*COMMAND, *arguments], stdout=writing, stderr=subprocess.PIPE, text=True, env=BUFFERED)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")
    if os.path.exists("/dev/full"):
        with open("/dev/full", "w") as full:
            done = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, env=BUFFERED)
        message = "tiedlm: error: reading or writing failed: No space left on device\n"
        assert (done.returncode, done.stderr) == (2, message)


def test_a_word_that_the_terminal_lacks_is_printed_escaped():
    code = "import sys; from tiedlm.cli import main; main._help = lambda: 'caf\\u00e9 \\u2192'; sys.exit(main.main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, env=os.environ | {"PYTHONIOENCODING": "latin-1"}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"caf\xe9 \\u2192\n"
