"""The run folder: made whole, saved in single steps, read with every checksum compared, written by one at a time."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from support.runs import ENVIRONMENT, SCORES, VOCABULARY, log_and_save, write_run
from tiedlm.config import to_json
from tiedlm.errors import ArgumentError, ConfigError, RunError
from tiedlm.files import json_bytes
from tiedlm.recipes import recipe
from tiedlm.runs.config import RuntimeConfig
from tiedlm.runs.folder import FileEntry, Progress, RunFolder, Session

NAMES = {"config.json", "vocabulary.json", "journal.jsonl", "run.json", "state-000000.safetensors"}


@pytest.fixture
def folder(tmp_path):
    return write_run(tmp_path / "runs" / "run")


def names(folder):
    return {path.name for path in folder.path.iterdir() if path.name != ".lock"}


def test_a_new_folder_is_whole_with_nothing_beside_it(folder):
    assert names(folder) == NAMES
    assert [path.name for path in folder.path.parent.iterdir()] == ["run"]
    for each in (folder, RunFolder.open(folder.path), RunFolder.open(str(folder.path))):
        assert each.config() == recipe("ptb-small-re")
        assert each.vocabulary() == VOCABULARY
        assert each.read("state") == b"state"
        assert each.journal() == []
        assert (each.has_weights, each.is_finished) == (False, False)
        each.check()


def test_an_empty_folder_a_relative_path_and_a_link_to_a_folder_are_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    made = write_run(Path("run/"))
    monkeypatch.chdir("/")
    made.save(state=b"new")
    assert RunFolder.open(tmp_path / "run").read("state") == b"new"
    (tmp_path / "disk").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "disk")
    write_run(tmp_path / "linked")
    assert (tmp_path / "disk" / "run.json").is_file()
    assert (tmp_path / "linked").is_symlink()


OCCUPANTS = {
    "file": lambda path: path.write_text("mine"),
    "folder": lambda path: (path / "mine").mkdir(parents=True),
    "dangling link": lambda path: path.symlink_to(path.with_name("absent")),
    "run": write_run,
}


@pytest.mark.parametrize("occupant", OCCUPANTS)
def test_a_place_that_is_taken_is_refused_and_left_alone(tmp_path, occupant):
    path = tmp_path / "run"
    OCCUPANTS[occupant](path)
    before = sorted(str(each) for each in tmp_path.rglob("*"))
    with pytest.raises(RunError, match="run exists already and is not "):
        write_run(path)
    assert sorted(str(each) for each in tmp_path.rglob("*")) == before


def test_partial_folders_of_killed_processes_are_deleted_for_this_folder_only(tmp_path):
    others = ["run.partial-best", "run.partial-1", "other.partial-" + "0" * 32, "rerun.partial-" + "0" * 32]
    for name in ["run.partial-" + "0" * 32, *others]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    write_run(tmp_path / "run")
    assert {path.name for path in tmp_path.iterdir()} == {"run", *others}


def test_a_save_replaces_what_is_given_and_keeps_the_rest(folder):
    log_and_save(folder, 1, state=b"s1", weights=b"w1")
    log_and_save(folder, 2, state=b"s2")
    assert names(folder) == NAMES - {"state-000000.safetensors"} | {
        "weights-000001.safetensors",
        "state-000002.safetensors",
    }
    folder.save(scores=SCORES)
    for each in (folder, RunFolder.open(folder.path)):
        assert (each.read("weights"), each.read("state")) == (b"w1", b"s2")
        assert each.record.progress == Progress(epoch=3)
        assert [event["epoch"] for event in each.journal()] == [1, 2]
        assert each.is_finished


def test_leftovers_of_killed_saves_are_deleted_and_nothing_else(folder):
    leftovers = ["state-000001.safetensors", "state-000007.safetensors.123.partial", "run.json.123.partial"]
    others = ["notes.txt", "state-final.safetensors", "plot.partial"]
    for name in leftovers + others:
        (folder.path / name).write_text("left")
    folder.save(state=b"new")
    assert names(folder) == NAMES - {"state-000000.safetensors"} | {*others, "state-000001.safetensors"}
    (folder.path / "state-000007.safetensors").mkdir()  # which cannot be deleted as a file
    folder.save(state=b"newer")
    assert RunFolder.open(folder.path).read("state") == b"newer"


def test_events_count_from_the_next_save_on_and_others_are_cut_off(folder):
    with folder.lock():
        folder.log("start", Progress(epoch=7), processes=2)
        assert folder.journal() == []
    log_and_save(folder, 8)
    [event] = folder.journal()
    assert list(event) == ["epoch", "window", "time_unix", "event", "seconds"]
    assert event["epoch"] == 8


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_an_event_that_is_not_json_is_refused_and_progress_that_is_not_finite(folder, value):
    with pytest.raises(ConfigError):
        Progress(loss_sum=float("nan"))
    with folder.lock(), pytest.raises(ArgumentError, match="must be JSON"):
        folder.log("epoch", Progress(), loss=value)
    assert (folder.path / "journal.jsonl").read_bytes() == b""


def test_the_last_session_has_the_runtime_of_now_and_later_ones_are_moves(folder):
    assert "moves" not in folder.environment()
    elsewhere = Session(epoch=3, window=4, runtime=RuntimeConfig(precision="bfloat16"), environment=ENVIRONMENT)
    folder.save(sessions=(*folder.record.sessions, elsewhere))
    again = RunFolder.open(folder.path)
    assert again.config() == replace(recipe("ptb-small-re"), runtime=elsewhere.runtime)
    assert again.environment() == {
        **ENVIRONMENT,
        "corpus": again.record.corpus,
        "parent": None,
        "moves": [to_json(elsewhere)],
    }


def test_what_is_not_there_yet_says_what_to_do(folder):
    with pytest.raises(RunError, match=r"run has no weights yet\. Resume its training"):
        folder.read("weights")


def test_every_flipped_cut_or_added_byte_of_every_file_is_named(folder):
    log_and_save(folder, 1, weights=b"some weights")
    for name in sorted(names(folder) - {"run.json"}):
        path = folder.path / name
        content = path.read_bytes()
        middle = len(content) // 2
        flips = [content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :] for i in (0, middle, len(content) - 1)]
        longer = [] if name == "journal.jsonl" else [content + b"\n"]
        for wrong in [*flips, content[:-1], b"", *longer]:
            path.write_bytes(wrong)
            with pytest.raises(RunError, match=rf"run/{name} is damaged"):
                RunFolder.open(folder.path).check()
        path.unlink()
        with pytest.raises(RunError, match=rf"run/{name} is missing"):
            RunFolder.open(folder.path).check()
        path.write_bytes(content)
    folder.check()


def test_every_flipped_cut_or_added_byte_of_the_record_is_named(folder):
    path = folder.path / "run.json"
    content = path.read_bytes()
    flips = [content[:i] + bytes([content[i] ^ 1 << i % 8]) + content[i + 1 :] for i in range(len(content))]
    for wrong in [*flips, *(content[:end] for end in range(0, len(content), 7)), content + b" ", b"", b"[" * 100_000]:
        path.write_bytes(wrong)
        with pytest.raises(RunError, match=r"run(/run\.json)? "):
            RunFolder.open(folder.path)


def forged(folder, change):
    """Write `run.json` anew with a change, and the checksum that fits it."""
    value = json.loads((folder.path / "run.json").read_bytes())
    del value["checksum"]
    change(value)
    value["checksum"] = hashlib.sha256(json_bytes(value)).hexdigest()
    (folder.path / "run.json").write_bytes(json_bytes(value))


FORGERIES = [
    lambda v: v["files"]["state"].update(name="../../precious"),
    lambda v: v["files"]["state"].update(name="/etc/passwd"),
    lambda v: v["files"]["config"].update(name="vocabulary.json"),
    lambda v: v["files"]["state"].update(bytes=-1),
    lambda v: v["files"]["state"].update(bytes="5"),
    lambda v: v["files"].pop("config"),
    lambda v: v["files"].update(more=v["files"]["state"]),
    lambda v: v.update(files=[]),
    lambda v: v.update(sessions=[]),
    lambda v: v.update(sessions={}),
    lambda v: v["sessions"][0].update(environment=None),
    lambda v: v["sessions"][0]["environment"].update(threads=0),
    lambda v: v["sessions"][0]["environment"].update(threads=True),
    lambda v: v["sessions"][0]["runtime"].update(device=3),
    lambda v: v["progress"].update(epoch=0),
    lambda v: v["progress"].update(window=3),
    lambda v: v["progress"].update(words=10**30, window=1),
    lambda v: v["progress"].update(loss_sum="much"),
    lambda v: v["progress"].update(more=1),
    lambda v: v.update(progress=None),
    lambda v: v.update(save="1"),
    lambda v: v.update(scores={"valid": {}}),
    lambda v: v.update(scores=[]),
    lambda v: v.update(parent={"path": 3}),
    lambda v: v["corpus"].update(splits=[]),
    lambda v: v["corpus"]["splits"].pop("test"),
    lambda v: v.update(more=1),
]


@pytest.mark.parametrize("change", FORGERIES)
def test_a_record_with_a_right_checksum_and_wrong_contents_is_refused(folder, change):
    forged(folder, lambda value: None)
    RunFolder.open(folder.path).check()
    forged(folder, change)
    with pytest.raises(RunError, match=r"run/run\.json is damaged"):
        RunFolder.open(folder.path)


@pytest.mark.parametrize("name", ["config", "vocabulary"])
@pytest.mark.parametrize("content", [b"[]", b"{}", b"7", b"\xff", b'{"recipe": "x"}', b"[" * 100_000])
def test_a_config_or_vocabulary_of_another_kind_is_refused(folder, name, content):
    (folder.path / f"{name}.json").write_bytes(content)
    forged(folder, lambda value: value["files"].update({name: to_json(FileEntry.of(f"{name}.json", content))}))
    again = RunFolder.open(folder.path)
    with pytest.raises(RunError, match=rf"{name}.* (cannot be used|is not readable)"):
        getattr(again, name)()


def test_other_versions_and_other_programs_are_told_apart(folder, tmp_path):
    forged(folder, lambda value: value.update(version=3))
    with pytest.raises(RunError, match="run folder of version 3, but this tiedlm reads version 2"):
        RunFolder.open(folder.path)
    forged(folder, lambda value: value.update(format="other", version=2))
    with pytest.raises(RunError, match="belongs to another program"):
        RunFolder.open(folder.path)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "manifest.json").write_text("{}")
    with pytest.raises(RunError, match="run folder of version 1, but this tiedlm reads version 2"):
        RunFolder.open(tmp_path / "old")


def test_what_is_no_run_is_named_with_the_nearest(folder, tmp_path):
    (tmp_path / "file").write_text("x")
    for path, reason in [(tmp_path, "has no run.json"), (tmp_path / "file", "is a file, not a run folder")]:
        with pytest.raises(RunError, match=reason):
            RunFolder.open(path)
    with pytest.raises(RunError, match=r"There is no run folder .*/rum.* mean 'run'"):
        RunFolder.open(folder.path.with_name("rum"))


REPLACEMENTS = {
    "link": lambda path, outside: path.symlink_to(outside),
    "hard link": lambda path, outside: os.link(outside, path),
    "pipe": lambda path, outside: os.mkfifo(path),
    "endless device": lambda path, outside: path.symlink_to("/dev/zero"),
}


@pytest.mark.parametrize("name", ["run.json", "config.json", "state-000000.safetensors", "journal.jsonl", ".lock"])
@pytest.mark.parametrize("kind", REPLACEMENTS)
def test_only_regular_files_of_the_folder_are_read_and_written(folder, tmp_path, name, kind):
    """A link has the right content behind it, so nothing but its being a link can be the reason."""
    log_and_save(folder, 1)
    path, outside = folder.path / name, tmp_path / "outside"
    before = path.read_bytes()
    outside.write_bytes(before)
    path.unlink()
    REPLACEMENTS[kind](path, outside)
    if kind == "hard link" and name not in ("journal.jsonl", ".lock"):
        RunFolder.open(folder.path).check()  # to read it does no harm, and is how some copy
    else:
        with pytest.raises(RunError):
            check_and_save(folder.path)
    assert outside.read_bytes() == before


def check_and_save(path):
    folder = RunFolder.open(path)
    with folder.lock():
        folder.check()
        folder.log("resume", folder.record.progress)
        folder.save(state=b"new")


def test_a_partial_file_that_is_a_link_is_replaced_and_not_written_through(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    for name in ("run.json", "state-000001.safetensors"):
        (folder.path / f"{name}.{threading.get_native_id()}.partial").symlink_to(outside)
    folder.save(state=b"new")
    assert RunFolder.open(folder.path).read("state") == b"new"
    assert outside.read_bytes() == b"precious"


HOLDER = """
import sys
from tiedlm.runs.folder import RunFolder
with RunFolder.open(sys.argv[1]).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_live_writer_is_named_and_its_run_is_not_to_be_removed(folder):
    command = [sys.executable, "-c", HOLDER, str(folder.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        holder = f"process {process.pid} on {socket.gethostname()}"
        assert folder.holder() == holder
        with pytest.raises(RunError, match=rf"run is in use by {holder}\. Wait until it has ended"):
            folder.save(state=b"mine")
        with pytest.raises(RunError, match=rf"run is being trained by {holder}\. Wait .*, or give another folder\.$"):
            write_run(folder.path)
        assert folder.read("state") == b"state"
        process.kill()
        process.wait()
        assert folder.holder() is None
        folder.save(state=b"mine")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"process 1 on \x1b[2Jhost"])
def test_a_holder_without_a_readable_name_is_still_respected(folder, content):
    with folder.lock():
        (folder.path / ".lock").write_bytes(content)
        with pytest.raises(RunError, match="is in use by another process"), RunFolder.open(folder.path).lock():
            pass


def test_only_one_object_writes_at_a_time_and_sees_what_the_last_one_saved(folder):
    other = RunFolder.open(folder.path)
    with folder.lock():
        with pytest.raises(RunError, match="is in use by process"):
            other.save(state=b"other")
        with folder.lock():
            folder.save(state=b"mine", weights=b"1")
    other.save(scores=SCORES)
    assert [other.read(name) for name in ("state", "weights")] == [b"mine", b"1"]
    with folder.lock():
        assert folder.is_finished


def test_a_folder_that_cannot_be_written_to_or_was_removed_is_named(folder):
    (folder.path / ".lock").mkdir()
    with pytest.raises(RunError, match="cannot be locked for writing"):
        folder.save(state=b"1")
    shutil.rmtree(folder.path)
    with pytest.raises(RunError):
        folder.save(state=b"1")


def test_a_folder_is_read_without_loading_torch(folder):
    code = (
        "import sys; from tiedlm.runs.folder import RunFolder; folder = RunFolder.open(sys.argv[1]); folder.config(); "
        "folder.check(); sys.exit('torch' in sys.modules or 'safetensors' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder.path)], check=True)
