from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import types

import pytest

from tiedlm import __version__
from tiedlm.cli import main as main_module
from tiedlm.cli.main import COMMANDS
from tiedlm.errors import CorpusError, RunError

COMMAND = [sys.executable, "-m", "tiedlm.cli.main"]
BUFFERED = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


@pytest.fixture
def command(monkeypatch):
    """Puts a function in the place of the command `recipes`."""

    def replace(function):
        module = types.SimpleNamespace(recipes=function)
        monkeypatch.setattr(main_module, "import_module", lambda name: module)

    return replace


def raising(error):
    def function(arguments):
        raise error

    return function


def test_help_lists_every_command(tiedlm):
    for asked in ("--help", "-h", "help"):
        answer = tiedlm(asked)
        assert answer.status == 0
        assert all(f"  {name} " in answer.output for name in COMMANDS)
        assert all(len(line) <= 120 for line in answer.output.splitlines())


def test_without_a_command_the_help_is_an_error(tiedlm):
    answer = tiedlm()
    assert (answer.status, answer.output) == (2, "")
    assert answer.error.startswith("usage: tiedlm COMMAND")


def test_version(tiedlm):
    assert tiedlm("--version").output == f"tiedlm {__version__}\n"


def test_an_unknown_command_or_option_is_answered_with_the_nearest(tiedlm):
    answer = tiedlm("scroe", "x")
    assert answer.status == 2
    assert answer.error.startswith("tiedlm: error: There is no command 'scroe'. Did you mean 'score'?")
    assert "no option '--hepl'. Did you mean '--help'?" in tiedlm("--hepl").error


def test_the_status_of_a_command_is_that_of_the_process(tiedlm, command):
    command(lambda arguments: len(arguments))
    assert tiedlm("recipes", "a", "b", "c").status == 3


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (CorpusError("The text is empty."), 2, "tiedlm: error: The text is empty.\n"),
        (RunError("No run."), 2, "tiedlm: error: No run.\n"),
        (PermissionError(errno.EACCES, "Permission denied", "a.txt"), 2, "tiedlm: error: a.txt: Permission denied\n"),
        (OSError(errno.ENOSPC, "No space left"), 2, "tiedlm: error: reading or writing failed: No space left\n"),
        (KeyboardInterrupt(), 130, "tiedlm: interrupted\n"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, ""),
    ],
)
def test_an_error_is_told_in_one_line(tiedlm, command, error, status, told):
    command(raising(error))
    answer = tiedlm("recipes")
    assert (answer.status, answer.output, answer.error) == (status, "", told)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_a_lack_of_memory_is_told_with_what_to_make_smaller(tiedlm, command, error):
    command(raising(error))
    answer = tiedlm("recipes")
    assert (answer.status, answer.output) == (2, "")
    assert answer.error.startswith("tiedlm: error: Memory ran out")
    assert "--model.units" in answer.error


@pytest.mark.parametrize("error", [ZeroDivisionError, RuntimeError])
def test_an_error_of_ours_is_not_hidden(tiedlm, command, error):
    command(raising(error()))
    with pytest.raises(error):
        tiedlm("recipes")


@pytest.mark.parametrize(
    ("closed", "arguments", "status"),
    [(">&-", ["recipes"], 0), ("<&-", ["recipes"], 0), ("2>&-", ["scroe"], 2), ("<&- >&- 2>&-", ["scroe"], 2)],
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


@pytest.mark.parametrize("arguments", [["--help"], ["recipes", "--help"]])
def test_a_reader_that_goes_away_is_no_error(arguments):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*COMMAND, *arguments], stdout=writing, stderr=subprocess.PIPE, text=True, env=BUFFERED)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no device that is always full")
@pytest.mark.parametrize("arguments", [["--help"], ["recipes", "--help"]])
def test_a_full_disk_under_the_output_is_an_error(arguments):
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, env=BUFFERED)
    assert done.returncode == 2
    assert done.stderr == "tiedlm: error: reading or writing failed: No space left on device\n"


def test_a_request_to_end_clears_away_what_was_begun(tmp_path):
    code = (
        "import sys, tempfile, time, types; from tiedlm.cli import main\n"
        "def wait(arguments):\n"
        "    with tempfile.TemporaryDirectory(dir=sys.argv[1]):\n"
        "        print('begun', flush=True); time.sleep(600)\n"
        "main.import_module = lambda name: types.SimpleNamespace(recipes=wait)\n"
        "sys.exit(main.main(['recipes']))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        assert list(tmp_path.iterdir())
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate()
    assert (process.returncode, error) == (130, "tiedlm: interrupted\n")
    assert not list(tmp_path.iterdir())


def test_the_handling_of_a_request_to_end_is_the_commands_own(tiedlm, command):
    found = []
    command(lambda arguments: found.append(signal.getsignal(signal.SIGTERM)))
    tiedlm("recipes")
    assert found == [signal.default_int_handler]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_word_that_the_terminal_lacks_is_printed_escaped():
    code = "import sys; from tiedlm.cli import main; main._help = lambda: 'caf\\u00e9 \\u2192'; sys.exit(main.main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, env=os.environ | {"PYTHONIOENCODING": "latin-1"}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"caf\xe9 \\u2192\n"
