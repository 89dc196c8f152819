"""How a run folder comes to be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tiedlm.checkpoint.making import beside, build_aside, check_free, remove_partial_folders, store
from tiedlm.checkpoint.manifest import Entry, Manifest
from tiedlm.errors import RunError


def test_a_folder_is_built_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    manifest = build_aside(tmp_path / "run", {"config": b"{}"}, b"")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert Manifest.read(tmp_path / "run").files == manifest.files
    assert (tmp_path / "run" / "config.json").read_bytes() == b"{}"


def test_a_step_keeps_the_roles_it_does_not_write(tmp_path: Path) -> None:
    first = build_aside(tmp_path / "run", {"config": b"{}", "state": b"old"}, b"")
    second = store(tmp_path / "run", first, {"state": b"new"}, Entry.of("journal.jsonl", b""))
    assert second.commit == first.commit + 1
    assert second.files["config"] == first.files["config"]
    assert (tmp_path / "run" / second.files["state"].name).read_bytes() == b"new"
    assert (tmp_path / "run" / first.files["state"].name).read_bytes() == b"old"  # until somebody sweeps


def test_only_an_absent_path_or_an_empty_folder_is_free(tmp_path: Path) -> None:
    check_free(tmp_path / "absent")
    check_free(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="not empty"):
        check_free(tmp_path)
    with pytest.raises(RunError, match="not a folder"):
        check_free(tmp_path / "file")


def test_a_mount_point_is_not_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "ismount", lambda path: path == tmp_path)
    with pytest.raises(RunError, match=r"is a mount point, .* name a folder inside it"):
        check_free(tmp_path)
    check_free(tmp_path / "inside")


def test_what_killed_processes_left_of_this_folder_is_removed_and_of_no_other(tmp_path: Path) -> None:
    left = tmp_path / f"run.partial-{'0' * 32}"
    others = [tmp_path / f"walk.partial-{'0' * 32}", tmp_path / "run.partial-mine"]
    for folder in (left, *others):
        folder.mkdir()
    remove_partial_folders(tmp_path / "run")
    assert sorted(tmp_path.iterdir()) == sorted(others)


def test_what_is_made_beside_a_folder_is_found_again_unless_it_is_no_partial_one(tmp_path: Path) -> None:
    partial, again, replaced = beside(tmp_path / "run"), beside(tmp_path / "run"), beside(tmp_path / "run", "replaced")
    for folder in (partial, again, replaced):  # three names
        folder.mkdir()
    remove_partial_folders(tmp_path / "run")
    assert list(tmp_path.iterdir()) == [replaced]
