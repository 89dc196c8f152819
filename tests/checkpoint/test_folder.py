import os
import shutil
import subprocess
import sys
import threading

import pytest
import torch

from tiedlm.checkpoint.folder import RunFolder
from tiedlm.checkpoint.tensors import tensors_to_bytes
from tiedlm.errors import ArgumentError, RunError

FIXED = {"config": b'{"seed": 0}', "vocabulary": b'["a"]', "environment": b"{}"}


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "runs" / "run", FIXED)


def names(folder):
    return {path.name for path in folder.path.iterdir() if not path.name.startswith(".lock")}


def test_create_makes_a_whole_folder_and_nothing_beside_it(folder):
    assert names(folder) == {"config.json", "vocabulary.json", "environment.json", "journal.jsonl", "manifest.json"}
    assert [path.name for path in folder.path.parent.iterdir()] == ["run"]
    for each in (folder, RunFolder.open(folder.path), RunFolder.open(str(folder.path))):
        assert {role: each.read(role) for role in FIXED} == FIXED
        assert each.journal.records() == []
        assert not each.has("weights")


def test_create_takes_an_empty_folder_and_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    made = RunFolder.create("run/", FIXED)
    assert made.path == tmp_path / "run"
    monkeypatch.chdir("/")
    made.commit({"progress": b"{}"})
    assert made.read("progress") == b"{}"


def test_create_makes_the_folder_that_a_link_leads_to(tmp_path):
    place = tmp_path / "large disk"
    place.mkdir()
    (tmp_path / "run").symlink_to(place)
    RunFolder.create(tmp_path / "run", FIXED)
    assert RunFolder.open(tmp_path / "run").read("config") == FIXED["config"]
    assert (place / "manifest.json").is_file()
    assert (tmp_path / "run").is_symlink()


@pytest.mark.parametrize("occupant", ["file", "folder", "dangling link", "run"])
def test_create_refuses_a_place_that_is_taken_and_leaves_it_alone(tmp_path, occupant):
    path = tmp_path / "run"
    if occupant == "file":
        path.write_text("mine")
    elif occupant == "folder":
        path.mkdir()
        (path / "notes.txt").write_text("mine")
    elif occupant == "dangling link":
        path.symlink_to(tmp_path / "absent")
    else:
        RunFolder.create(path, FIXED)
    before = sorted(str(each) for each in tmp_path.rglob("*"))
    with pytest.raises(RunError, match="run exists already and is not "):
        RunFolder.create(path, FIXED)
    assert sorted(str(each) for each in tmp_path.rglob("*")) == before


def test_create_refuses_what_cannot_be_a_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match=r"file/run could not be saved: "):
        RunFolder.create(tmp_path / "file" / "run", FIXED)


def test_create_sweeps_what_killed_ones_left_of_the_same_folder_only(tmp_path):
    kept = ["run.partial-best", "run.partial-1", "other.partial-" + "0" * 32, "rerun.partial-" + "0" * 32]
    for name in ["run.partial-" + "0" * 32, *kept]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    RunFolder.create(tmp_path / "run", FIXED)
    assert {path.name for path in tmp_path.iterdir()} == {"run", *kept}


def test_unknown_roles_are_refused_everywhere(folder, tmp_path):
    for call in (folder.has, folder.read, folder.sha256, folder.read_json, folder.read_tensors):
        with pytest.raises(ArgumentError, match=r"no role 'weight'\. Did you mean 'weights'"):
            call("weight")
    with pytest.raises(ArgumentError, match=r"no role '\.\./evil'"):
        folder.commit({"../evil": b""})
    with pytest.raises(ArgumentError, match="no role 'weight'"):
        RunFolder.create(tmp_path / "new", {"weight": b""})
    assert not (tmp_path / "new").exists()


def test_commit_replaces_what_is_given_and_keeps_the_rest(folder):
    folder.commit({"weights": b"w1", "state": b"s1", "progress": b"1"})
    folder.commit({"state": b"s2", "progress": b"2"})
    assert names(folder) == {
        *("config.json", "vocabulary.json", "environment.json", "journal.jsonl", "manifest.json"),
        *("weights-000001.safetensors", "state-000002.safetensors", "progress-000002.json"),
    }
    for each in (folder, RunFolder.open(folder.path)):
        assert [each.read(role) for role in ("weights", "state", "progress")] == [b"w1", b"s2", b"2"]


def test_commit_sweeps_leftovers_of_killed_commits_and_nothing_else(folder):
    leftovers = ["state-000001.safetensors", "state-000007.safetensors", "scores-000002.json.123.partial"]
    leftovers += ["manifest.json.123.partial"]
    others = ["notes.txt", "state-final.safetensors", "plot.partial"]
    for name in leftovers + others:
        (folder.path / name).write_text("left")
    before = names(folder) - set(leftovers)
    folder.commit({"state": b"new"})
    assert names(folder) == before | {"state-000001.safetensors"}
    assert folder.read("state") == b"new"


def test_a_leftover_that_cannot_be_deleted_does_not_fail_the_commit(folder):
    (folder.path / "state-000007.safetensors").mkdir()
    folder.commit({"state": b"new"})
    assert RunFolder.open(folder.path).read("state") == b"new"


def test_what_is_written_once_cannot_be_committed(folder):
    for role in FIXED:
        with pytest.raises(ArgumentError, match=f"{role}' is written once, when the run folder is made"):
            folder.commit({"state": b"", role: b"{}"})
    assert not folder.has("state")


def test_only_journal_lines_of_a_commit_with_the_journal_count(folder):
    folder.journal.append({"line": 1})
    folder.commit({"scores": b"{}"})
    assert RunFolder.open(folder.path).journal.records() == []
    folder.commit({}, folder.journal)
    folder.journal.append({"line": 2})
    again = RunFolder.open(folder.path)
    assert again.journal.records() == folder.journal.records() == [{"line": 1}]
    again.journal.rewind()
    again.journal.append({"line": 2, "again": True})
    again.commit({}, again.journal)
    assert again.journal.records() == [{"line": 1}, {"line": 2, "again": True}]


def test_rewind_after_a_commit_keeps_what_it_counted(folder):
    journal = folder.journal
    journal.append({"line": 1})
    folder.commit({}, journal)
    journal.rewind()
    assert journal.records() == [{"line": 1}]


def test_another_folders_journal_is_refused(folder, tmp_path):
    other = RunFolder.create(tmp_path / "other", FIXED)
    with pytest.raises(ArgumentError, match=r"other/journal\.jsonl is not the journal of this folder object"):
        folder.commit({}, other.journal)


def test_a_role_without_a_file_says_what_to_do(folder):
    with pytest.raises(RunError, match=r"run has no weights yet\. Resume its training until it has saved some"):
        folder.read("weights")


def test_every_flipped_cut_or_added_byte_of_every_file_is_named(folder):
    folder.commit({"weights": tensors_to_bytes({"w": torch.ones(1)}), "progress": b'{"epoch": 1}'})
    for role, name in [("config", "config.json"), ("weights", "weights-000001.safetensors")]:
        path = folder.path / name
        content = path.read_bytes()
        flipped = [content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :] for i in range(len(content))]
        for wrong in [*flipped, *(content[:end] for end in range(len(content))), content + b"\n"]:
            path.write_bytes(wrong)
            with pytest.raises(RunError, match=rf"run/{name} is damaged or was edited: .*Restore the run folder"):
                RunFolder.open(folder.path).read(role)
        path.write_bytes(content)
        assert folder.read(role) == content


def test_a_missing_file_is_named(folder):
    (folder.path / "config.json").unlink()
    with pytest.raises(RunError, match=r"run/config\.json is missing\. Nothing of it was used"):
        folder.read("config")
    (folder.path / "vocabulary.json").unlink()
    (folder.path / "vocabulary.json").mkdir()
    with pytest.raises(RunError, match=r"run/vocabulary\.json cannot be read: it is not a regular file"):
        folder.read("vocabulary")


def replace_by_link(path, outside):
    path.symlink_to(outside)


def replace_by_hard_link(path, outside):
    os.link(outside, path)


def replace_by_pipe(path, outside):
    os.mkfifo(path)


def replace_by_endless_device(path, outside):
    path.symlink_to("/dev/zero")


REPLACEMENTS = [replace_by_link, replace_by_hard_link, replace_by_pipe, replace_by_endless_device]


@pytest.mark.parametrize("name", ["manifest.json", "config.json", "state-000001.safetensors", "journal.jsonl", ".lock"])
@pytest.mark.parametrize("replace", REPLACEMENTS)
def test_only_regular_files_of_the_folder_are_read_and_written(folder, tmp_path, name, replace):
    """A link has the right content behind it, so nothing but its being a link can be the reason."""
    folder.journal.append({"event": "start"})
    folder.commit({"state": b"state"}, folder.journal)
    path, outside = folder.path / name, tmp_path / "outside"
    before = path.read_bytes()
    outside.write_bytes(before)
    path.unlink()
    replace(path, outside)
    if replace is replace_by_hard_link and name not in ("journal.jsonl", ".lock"):
        assert RunFolder.open(folder.path).read("state") == b"state"  # to read it does no harm, and is how some copy
    else:
        with pytest.raises(RunError):
            resume_and_save(folder.path)
    assert outside.read_bytes() == before


def resume_and_save(path):
    folder = RunFolder.open(path)
    with folder.lock():
        folder.check_whole()
        folder.journal.rewind()
        folder.journal.append({"event": "resume"})
        folder.commit({"state": b"new"}, folder.journal)


def test_a_partial_file_that_is_a_link_is_replaced_and_not_written_through(folder, tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    for name in ("manifest.json", "state-000001.safetensors"):
        (folder.path / f"{name}.{threading.get_native_id()}.partial").symlink_to(outside)
    folder.commit({"state": b"state"})
    assert RunFolder.open(folder.path).read("state") == b"state"
    assert outside.read_bytes() == b"precious"


def test_a_check_of_the_whole_folder_finds_a_missing_file_of_any_role(folder):
    folder.journal.append({"event": "start"})
    folder.commit({"weights": b"w", "progress": b"{}"}, journal=folder.journal)
    folder.check_whole()
    for path in folder.path.iterdir():
        if path.name.startswith(".lock") or path.name == "manifest.json":
            continue
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(RunError, match=path.name):
            folder.check_whole()
        path.write_bytes(content)
    folder.check_whole()


def test_read_json_and_read_tensors(folder):
    folder.commit({"state": tensors_to_bytes({"h": torch.arange(3)}), "weights": b"text", "progress": b"\xff"})
    assert folder.read_json("config") == {"seed": 0}
    assert folder.read_tensors("state")["h"].equal(torch.arange(3))
    with pytest.raises(RunError, match=r"The progress of .*run is not JSON"):
        folder.read_json("progress")
    with pytest.raises(RunError, match=r"The weights of .*run are not readable as tensors: The content is not a whole"):
        folder.read_tensors("weights")


def test_a_reader_follows_a_commit_that_replaced_its_file(folder):
    folder.commit({"state": b"1"})
    reader = RunFolder.open(folder.path)
    folder.commit({"state": b"2"})
    assert reader.read("state") == b"2"


def test_a_writer_sees_what_the_last_writer_saved(folder):
    other = RunFolder.open(folder.path)
    folder.journal.append({"line": 1})
    folder.commit({"state": b"1", "weights": b"1"}, folder.journal)
    other.commit({"scores": b"{}"})
    again = RunFolder.open(folder.path)
    assert [again.read(role) for role in ("state", "weights", "scores")] == [b"1", b"1", b"{}"]
    assert again.journal.records() == [{"line": 1}]
    with folder.lock():
        assert folder.has("scores")


def test_only_one_object_writes_at_a_time(folder):
    other = RunFolder.open(folder.path)
    with folder.lock():
        with pytest.raises(RunError, match="is in use by process"):
            other.commit({"state": b"other"})
        with pytest.raises(RunError, match="is in use by process"), other.lock():
            pass
        folder.commit({"state": b"mine"})
        assert other.read("config") == FIXED["config"]
    assert RunFolder.open(folder.path).read("state") == b"mine"
    other.commit({"state": b"other"})
    assert folder.read("state") == b"other"


def test_a_folder_that_was_removed_is_not_brought_back_as_something_else(folder):
    shutil.rmtree(folder.path)
    with pytest.raises(RunError):
        folder.commit({"state": b"1"})
    with pytest.raises(RunError):
        RunFolder.open(folder.path)


def test_json_is_read_without_loading_torch():
    code = "import sys, tiedlm.checkpoint; sys.exit('torch' in sys.modules or 'safetensors' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
