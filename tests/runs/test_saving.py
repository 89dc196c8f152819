"""Every way in which a save can be cut short leaves the state before it or the state after it, and says so."""

import errno
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from support.runs import SCORES, log_and_save, write_run
from tiedlm import files
from tiedlm.errors import RunError
from tiedlm.runs.folder import Progress, RunFolder

OLD = {"state": b"old state", "weights": b"old weights"}
NEW = {"state": b"new state" * 1000}
STATE_BEFORE = (OLD, 2, [1])
STATE_AFTER = (OLD | NEW, 3, [1, 2])


def make(path):
    folder = write_run(path)
    log_and_save(folder, 1, **OLD)
    return folder


def save(folder):
    log_and_save(folder, 2, **NEW)


def state(folder):
    """All that can be read from the folder and changes."""
    folder.check()
    contents = {name: folder.read(name) for name in OLD}
    return contents, folder.record.progress.epoch, [event["epoch"] for event in folder.journal()]


def assert_usable(path):
    """The next save after the interrupted one succeeds, and leaves no file that nobody needs."""
    folder = RunFolder.open(path)
    before = state(folder)[2]
    log_and_save(folder, 9, **OLD)
    assert state(RunFolder.open(path)) == (OLD, 10, [*before, 9])
    assert len(list(path.glob("*-0*"))) == len(OLD)
    assert not list(path.glob("*.partial*"))


class FailingDisk:
    """Lets the first `good` operations on the disk pass; every later one fails, a write after half of its bytes."""

    def __init__(self, patch, good):
        self.left = good
        patch.setattr(files, "open_regular", partial(self.opened, files.open_regular))
        for name in ("fsync", "replace"):
            patch.setattr(os, name, self.failing(getattr(os, name)))

    def failing(self, function, before=lambda *arguments: None):
        def call(*arguments):
            self.left -= 1
            if self.left < 0:
                before(*arguments)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return function(*arguments)

        return call

    @contextmanager
    def opened(self, open_regular, path, mode):
        with open_regular(path, mode) as file:

            def half(content):
                file.write(content[: len(content) // 2])

            yield SimpleNamespace(write=self.failing(file.write, half))


def error_on_a_disk(good, act):
    """What `act` says where the disk fails after `good` operations; None where it needs no more."""
    error = None
    with pytest.MonkeyPatch.context() as patch:
        disk = FailingDisk(patch, good)
        try:
            act()
        except RunError as raised:  # only such an error is meant for users
            error = str(raised)
    assert (error is not None) == (disk.left < 0)
    assert error is None or "could not be saved: No space left on device" in error
    return error


def test_a_disk_that_fails_at_any_operation_leaves_one_of_the_two_states(tmp_path):
    seen = []
    for good in range(100):
        make(tmp_path / str(good))
        folder = RunFolder.open(tmp_path / str(good))
        error = error_on_a_disk(good, partial(save, folder))
        seen.append(state(RunFolder.open(folder.path)))
        assert state(folder) == seen[-1]
        assert seen[-1] in (STATE_BEFORE, STATE_AFTER)
        assert len(list((tmp_path / str(good)).glob("*-0*"))) == len(OLD), "a full disk keeps no half files"
        assert not list((tmp_path / str(good)).glob("*.partial"))
        assert_usable(tmp_path / str(good))
        if error is None:
            break
    after = seen.count(STATE_AFTER)
    assert seen == [STATE_BEFORE] * (len(seen) - after) + [STATE_AFTER] * after
    assert after >= 2
    assert len(seen) - after > 8


def test_a_disk_that_fails_at_any_operation_makes_no_half_folder(tmp_path):
    good = 0
    for good in range(100):
        path = tmp_path / str(good) / "run"
        error = error_on_a_disk(good, partial(write_run, path))
        present = [each.name for each in path.parent.iterdir()]
        if present:
            assert present == ["run"]
            RunFolder.open(path).check()
        if error is None:
            break
    assert good > 15


@contextmanager
def files_of_a_thousand_bytes() -> Iterator[None]:
    """The system itself refuses to write more than 1000 bytes to any file, in the midst of a write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:  # before the runner writes its own report, which may go to a file
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_the_system_cuts_short_leaves_the_state_before(tmp_path):
    folder = make(tmp_path / "run")
    before = (folder.path / "journal.jsonl").read_bytes()
    with folder.lock(), files_of_a_thousand_bytes():
        with pytest.raises(RunError, match="run could not be saved: File too large"):
            folder.save(state=b"x" * 2000)
        with pytest.raises(RunError, match=r"journal\.jsonl could not be saved: File too large"):
            folder.log("epoch", Progress(), text="x" * 2000)
        with pytest.raises(RunError, match="other could not be saved: File too large"):
            write_run(tmp_path / "other")
    assert (folder.path / "journal.jsonl").read_bytes() == before
    assert state(RunFolder.open(folder.path)) == STATE_BEFORE
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}

DIE_AT_EVERY_STEP = """
import os, shutil, sys
from pathlib import Path
from support.runs import log_and_save, write_run
from tiedlm.runs.folder import RunFolder

def fork_and_die(act, step):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = step
    def die(event, arguments):
        nonlocal left
        if event == "open" or event.startswith(("os.", "shutil.")):
            left -= 1
            if left < 0:
                os._exit(9)
    sys.addaudithook(die)
    act()
    os._exit(0)

root = Path(sys.argv[1])

def save(path):
    log_and_save(RunFolder.open(path), 2, state=b"new state" * 1000)

for step in range(1000):
    shutil.copytree(root / "made", root / f"save-{step}")
    if fork_and_die(lambda: save(root / f"save-{step}"), step) == 0:
        break
for step in range(1000):
    (root / f"create-{step}").mkdir()
    if fork_and_die(lambda: write_run(root / f"create-{step}" / "run"), step) == 0:
        break
"""


@pytest.fixture(scope="module")
def deaths(tmp_path_factory):
    """Copies of one run folder, in each of which a process died before another one of its calls to the system."""
    root = tmp_path_factory.mktemp("deaths")
    make(root / "made")
    subprocess.run([sys.executable, "-c", DIE_AT_EVERY_STEP, str(root)], check=True, env=ENVIRONMENT)
    return root


def test_a_process_that_dies_before_any_call_of_a_save_leaves_one_of_the_two_states(deaths):
    count = len(list(deaths.glob("save-*")))
    seen = [state(RunFolder.open(deaths / f"save-{step}")) for step in range(count)]
    after = seen.count(STATE_AFTER)
    assert seen == [STATE_BEFORE] * (count - after) + [STATE_AFTER] * after
    assert after > 3
    assert count - after > 15
    for step in range(count):
        assert_usable(deaths / f"save-{step}")


def test_a_process_that_dies_before_any_call_of_a_creation_leaves_all_or_nothing(deaths):
    count = len(list(deaths.glob("create-*")))
    assert count > 20
    whole = 0
    for step in range(count):
        path = deaths / f"create-{step}" / "run"
        if path.exists():
            whole += 1
        else:
            write_run(path)
        assert [each.name for each in path.parent.iterdir()] == ["run"], "what the dead one left is swept"
        folder = RunFolder.open(path)
        folder.check()
        assert folder.journal() == []
    assert 1 <= whole < count


SAVE_FOR_EVER = """
import sys
from support.runs import log_and_save
from tiedlm.runs.folder import RunFolder

folder = RunFolder.open(sys.argv[1])
with folder.lock():
    print("going on", flush=True)
    while True:
        number = folder.record.progress.epoch
        text = str(number).encode()
        weights = text * 10_000 if number % 3 == 0 else None
        log_and_save(folder, number, state=text * 50_000, weights=weights)
        print("saved", flush=True)
"""


def start_saving(path):
    command = [sys.executable, "-c", SAVE_FOR_EVER, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    wait_for(process, "going on")
    return process


def wait_for(process, word):
    assert process.stdout.readline() == f"{word}\n"


def assert_consistent(folder):
    """Everything in the folder comes from one and the same save."""
    number = folder.record.progress.epoch - 1
    assert [event["epoch"] for event in folder.journal()] == list(range(1, number + 1))
    if number > 0:
        assert folder.read("state") == str(number).encode() * 50_000
    if number >= 3:
        assert folder.read("weights") == str(number - number % 3).encode() * 10_000
    return number


def test_a_dozen_real_kills_leave_one_save_each_and_lose_none(tmp_path):
    draw = random.Random(0)
    path = write_run(tmp_path / "run").path
    last = 0
    for _ in range(12):
        saves = draw.randrange(4)
        with start_saving(path) as process:
            for _ in range(saves):
                wait_for(process, "saved")
            time.sleep(draw.uniform(0, 0.02))
            process.kill()
        number = assert_consistent(RunFolder.open(path))
        assert number >= last + saves
        last = number
    folder = RunFolder.open(path)
    folder.save(scores=SCORES)
    assert assert_consistent(folder) == last
    assert len(list(path.glob("*-0*"))) <= 4
    assert not list(path.glob("*.partial"))


def test_a_reader_beside_a_busy_writer_reads_whole_files_only(tmp_path):
    path = write_run(tmp_path / "run").path
    folder = RunFolder.open(path)
    folder.save(state=b"1" * 50_000)
    with start_saving(path) as process:
        number = b"1"
        while int(number) < 30:
            content = folder.read("state")
            number = content[: len(content) // 50_000]
            assert content == number * 50_000
            RunFolder.open(path).journal()
            assert process.poll() is None
        process.kill()
