import os
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tiedlm.checkpoint.lock import RunLock
from tiedlm.errors import RunError

HOLDER = """
import sys
from pathlib import Path
from tiedlm.checkpoint.lock import RunLock
with RunLock(Path(sys.argv[1])).held():
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_process_holds(folder):
    """A live process with the lock; asked to end when the block ends."""
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_lock_of_another_live_process_is_respected_and_named(tmp_path):
    with another_process_holds(tmp_path) as process:
        for _ in range(3):
            expected = rf"{tmp_path} is in use by process {process.pid} on .*\. Wait until it has ended"
            with pytest.raises(RunError, match=expected), RunLock(tmp_path).held():
                pass
        assert process.poll() is None


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    with another_process_holds(tmp_path) as process:
        process.kill()
        process.wait()
        with RunLock(tmp_path).held():
            pass


def test_a_second_object_of_this_process_is_refused_until_the_first_lets_go(tmp_path):
    first, second = RunLock(tmp_path), RunLock(tmp_path)
    with first.held(), pytest.raises(RunError, match=f"in use by process {os.getpid()} on "), second.held():
        pass
    with second.held():
        pass


def test_one_object_may_hold_it_several_times_over(tmp_path):
    lock = RunLock(tmp_path)
    with lock.held():
        with lock.held():
            pass
        with pytest.raises(RunError, match="is in use by"), RunLock(tmp_path).held():
            pass


def test_an_error_in_the_block_lets_go(tmp_path):
    def fail():
        with RunLock(tmp_path).held():
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with RunLock(tmp_path).held():
        pass


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"process 1 on \x1b[2Jhost"])
def test_a_holder_without_a_readable_name_is_still_respected(tmp_path, content):
    with RunLock(tmp_path).held():
        (tmp_path / ".lock").write_bytes(content)
        with pytest.raises(RunError, match="is in use by another process"), RunLock(tmp_path).held():
            pass


def test_a_holder_is_named_while_it_holds_and_no_longer(tmp_path):
    lock = RunLock(tmp_path)
    assert lock.holder() is None
    with another_process_holds(tmp_path) as process:
        assert lock.holder() == f"process {process.pid} on {socket.gethostname()}"
        process.kill()
        process.wait()
        assert lock.holder() is None


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(RunError, match=r"cannot be locked for writing: .* Check that you"), RunLock(tmp_path).held():
        pass


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_nothing_is_written_through_a_link_in_the_place_of_the_lock(tmp_path, link):
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    (tmp_path / "run").mkdir()
    link(outside, tmp_path / "run" / ".lock")
    with pytest.raises(RunError, match="cannot be locked for writing: it "), RunLock(tmp_path / "run").held():
        pass
    assert outside.read_bytes() == b"precious"
