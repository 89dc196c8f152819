"""Every way in which a save can be cut short leaves the state before it or the state after it, and says so."""

import errno
import json
import os
import random
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tiedlm import files
from tiedlm.checkpoint.folder import RunFolder
from tiedlm.checkpoint.saving import saving
from tiedlm.errors import RunError

FIXED = {"config": b"{}", "vocabulary": b"[]", "environment": b"{}"}
OLD = {"weights": b"old weights", "state": b"old state", "progress": b"old progress"}
NEW = {"state": b"new state" * 1000, "progress": b"new progress"}

STATE_BEFORE = (FIXED | OLD, [{"line": "old"}])
STATE_AFTER = (FIXED | OLD | NEW, [{"line": "old"}, {"line": "new"}])


def make(path):
    folder = RunFolder.create(path, FIXED)
    folder.journal.append({"line": "old"})
    folder.commit(OLD, folder.journal)
    return folder


def save(folder):
    with folder.lock():
        folder.journal.append({"line": "new"})
        folder.commit(NEW, folder.journal)


def state(folder):
    """All that can be read from the folder."""
    return {role: folder.read(role) for role in (*FIXED, *OLD)}, folder.journal.records()


def assert_usable(path):
    """The next save after the cut one succeeds, and leaves no file that nobody needs."""
    folder = RunFolder.open(path)
    with folder.lock():
        folder.journal.rewind()
        before = folder.journal.records()
        folder.journal.append({"line": "next"})
        folder.commit(OLD, folder.journal)
    assert state(RunFolder.open(path)) == (FIXED | OLD, [*before, {"line": "next"}])
    assert len(list(path.glob("*-0*"))) == len(OLD)
    assert not list(path.glob("*.partial*"))


def test_an_error_of_the_disk_becomes_an_error_in_words():
    with pytest.raises(RunError, match=r"x could not be saved: No space left on device\. What was"), saving(Path("x")):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(RunError, match=r"could not be saved: odd\."), saving(Path("run/x")):
        raise OSError("odd")
    with pytest.raises(ZeroDivisionError), saving(Path("run/x")):
        raise ZeroDivisionError


class FailingFile:
    """A new file on a `FailingDisk`."""

    def __init__(self, disk, file):
        self.disk, self.file = disk, file

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def write(self, content):
        if not self.disk.spent():
            return self.file.write(content)
        self.file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class FailingDisk:
    """Lets the first `good` operations on the disk pass; every later one fails, a write after half of its bytes."""

    def __init__(self, patch, good):
        self.left = good
        open_regular = files.open_regular
        patch.setattr(files, "open_regular", lambda path, mode: FailingFile(self, open_regular(path, mode)))
        for name in ("fsync", "replace"):
            patch.setattr(os, name, self.failing(getattr(os, name)))

    def spent(self):
        self.left -= 1
        return self.left < 0

    def failing(self, function):
        def call(*arguments):
            if self.spent():
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return function(*arguments)

        return call


def error_of(act):
    """What the error of `act` says, or None where there is none; only a `RunError` is meant for users."""
    try:
        act()
    except RunError as error:
        return str(error)
    return None


def save_with(path, good):
    """Save while the disk fails after `good` operations; return whether the save said that it had failed."""
    folder = RunFolder.open(path)
    with pytest.MonkeyPatch.context() as patch:
        disk = FailingDisk(patch, good)
        error = error_of(lambda: save(folder))
    assert (error is not None) == (disk.left < 0)
    assert error is None or "could not be saved: No space left on device" in error
    assert state(folder) == state(RunFolder.open(path))
    return error is not None


def test_a_disk_that_fails_at_any_operation_leaves_one_of_the_two_states(tmp_path):
    seen = []
    for good in range(100):
        make(tmp_path / str(good))
        failed = save_with(tmp_path / str(good), good)
        seen.append(state(RunFolder.open(tmp_path / str(good))))
        assert seen[-1] in (STATE_BEFORE, STATE_AFTER)
        assert len(list((tmp_path / str(good)).glob("*-0*"))) == len(OLD), "a full disk keeps no half files"
        assert not list((tmp_path / str(good)).glob("*.partial"))
        assert_usable(tmp_path / str(good))
        if not failed:
            break
    # journal, two files of four operations each, manifest: only the last one comes after the instant of the save
    assert seen == [STATE_BEFORE] * 12 + [STATE_AFTER] * 2


def test_a_disk_that_fails_at_any_operation_makes_no_half_folder(tmp_path):
    good = 0
    for good in range(100):
        path = tmp_path / str(good) / "run"
        with pytest.MonkeyPatch.context() as patch:
            disk = FailingDisk(patch, good)
            error = error_of(lambda path=path: RunFolder.create(path, FIXED))
        assert (error is not None) == (disk.left < 0)
        assert error is None or "could not be saved: No space left on device" in error
        present = [each.name for each in path.parent.iterdir()]
        if present:
            assert present == ["run"]
            assert {role: RunFolder.open(path).read(role) for role in FIXED} == FIXED
        if disk.left >= 0:
            break
    assert good > 15


@pytest.fixture
def files_of_a_thousand_bytes():
    """The system itself refuses to write more than 1000 bytes to any file, in the midst of a write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_the_system_cuts_short_leaves_the_state_before(tmp_path, files_of_a_thousand_bytes):
    folder = make(tmp_path / "run")
    files_of_a_thousand_bytes()
    with pytest.raises(RunError, match="run could not be saved: File too large"):
        folder.commit({"state": b"x" * 2000})
    with pytest.raises(RunError, match=r"journal\.jsonl could not be saved: File too large"):
        folder.journal.append({"line": "x" * 2000})
    with pytest.raises(RunError, match="other could not be saved: File too large"):
        RunFolder.create(tmp_path / "other", FIXED | {"config": b"x" * 2000})
    assert (folder.path / "journal.jsonl").read_bytes() == b'{"line": "old"}\n'
    assert state(RunFolder.open(folder.path)) == STATE_BEFORE
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


DIE_AT_EVERY_STEP = """
import json, os, shutil, sys
from pathlib import Path
from tiedlm.checkpoint.folder import RunFolder

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

def as_bytes(argument):
    return {role: text.encode() for role, text in json.loads(argument).items()}

root, fixed, new = Path(sys.argv[1]), as_bytes(sys.argv[2]), as_bytes(sys.argv[3])

def save(path):
    folder = RunFolder.open(path)
    with folder.lock():
        folder.journal.append({"line": "new"})
        folder.commit(new, folder.journal)

for step in range(1000):
    shutil.copytree(root / "made", root / f"save-{step}")
    if fork_and_die(lambda: save(root / f"save-{step}"), step) == 0:
        break
for step in range(1000):
    (root / f"create-{step}").mkdir()
    if fork_and_die(lambda: RunFolder.create(root / f"create-{step}" / "run", fixed), step) == 0:
        break
"""


@pytest.fixture(scope="module")
def deaths(tmp_path_factory):
    """Copies of one run folder, in each of which a process died before another one of its calls to the system."""
    root = tmp_path_factory.mktemp("deaths")
    make(root / "made")
    contents = [json.dumps({role: content.decode() for role, content in each.items()}) for each in (FIXED, NEW)]
    subprocess.run([sys.executable, "-c", DIE_AT_EVERY_STEP, str(root), *contents], check=True)
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
            RunFolder.create(path, FIXED)
        assert [each.name for each in path.parent.iterdir()] == ["run"], "what the dead one left is swept"
        folder = RunFolder.open(path)
        assert {role: folder.read(role) for role in FIXED} == FIXED
        assert folder.journal.records() == []
    assert 1 <= whole < count


SAVE_FOR_EVER = """
import sys
from tiedlm.checkpoint.folder import RunFolder

folder = RunFolder.open(sys.argv[1])
with folder.lock():
    folder.journal.rewind()
    number = int(folder.read("progress")) if folder.has("progress") else 0
    print("going on", flush=True)
    while True:
        number += 1
        folder.journal.append({"number": number})
        text = str(number).encode()
        contents = {"state": text * 50_000, "progress": text}
        if number % 3 == 0:
            contents["weights"] = text * 10_000
        folder.commit(contents, folder.journal)
        print("saved", flush=True)
"""


def start_saving(path):
    command = [sys.executable, "-c", SAVE_FOR_EVER, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    wait_for(process, "going on")
    return process


def wait_for(process, word):
    assert process.stdout.readline() == f"{word}\n"


def assert_consistent(folder):
    """Everything in the folder comes from one and the same save."""
    if not folder.has("progress"):
        return 0
    number = int(folder.read("progress"))
    assert folder.read("state") == str(number).encode() * 50_000
    assert folder.journal.records() == [{"number": each} for each in range(1, number + 1)]
    if number >= 3:
        assert folder.read("weights") == str(number - number % 3).encode() * 10_000
    return number


def test_a_dozen_real_kills_leave_one_save_each_and_lose_none(tmp_path):
    draw = random.Random(0)
    path = RunFolder.create(tmp_path / "run", FIXED).path
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
    folder.commit({"scores": b"{}"})
    assert assert_consistent(folder) == last
    assert len(list(path.glob("*-0*"))) <= 4
    assert not list(path.glob("*.partial"))


def test_a_reader_beside_a_busy_writer_reads_whole_files_only(tmp_path):
    path = RunFolder.create(tmp_path / "run", FIXED).path
    folder = RunFolder.open(path)
    folder.commit({"state": b"0" * 50_000, "progress": b"0"})
    with start_saving(path) as process:
        number = b"0"
        while int(number) < 30:
            content = folder.read("state")
            number = content[: len(content) // 50_000]
            assert content == number * 50_000
            RunFolder.open(path).journal.records()
            assert process.poll() is None
        process.kill()
