"""A folder appears whole or not at all."""

from __future__ import annotations

import os
import re

import pytest

from support.files import files
from tiedlm.errors import RunError
from tiedlm.paper.place import place

NEW = {"a.json": b"new a", "inner/b.json": b"new b"}


def test_a_new_folder_holds_the_files_and_nothing_lies_beside_it(tmp_path):
    place(tmp_path / "x" / "target", NEW)
    assert files(tmp_path / "x") == {f"target/{name}": content for name, content in NEW.items()}


def test_an_old_folder_is_replaced_whole(tmp_path):
    place(tmp_path / "target", {"a.json": b"old", "old.json": b"old"})
    place(tmp_path / "target", NEW)
    assert files(tmp_path) == {f"target/{name}": content for name, content in NEW.items()}


def test_what_killed_processes_left_is_swept_up(tmp_path):
    left = tmp_path / f"target.partial-{'0' * 32}"
    left.mkdir()
    (left / "a.json").write_bytes(b"half")
    other = tmp_path / f"target-1.partial-{'0' * 32}"
    other.mkdir()
    place(tmp_path / "target", NEW)
    assert not left.exists()
    assert other.exists()


@pytest.mark.parametrize("old", [{}, {"a.json": b"old"}])
@pytest.mark.parametrize("failing", range(4))
def test_a_disk_that_fails_at_any_step_leaves_the_old_folder_alone(tmp_path, monkeypatch, old, failing):
    """Steps are: the two files, the old folder's renaming, the new folder's renaming."""
    target = tmp_path / "target"
    if old:
        place(target, old)
    steps = iter(range(100))

    def fails(source, goal, replace=os.replace):
        if {"partial", "replaced"} & set(re.findall("[a-z]+", f"{source} {goal}")) and next(steps) == failing:
            raise OSError(28, "No space left on device")
        replace(source, goal)

    monkeypatch.setattr(os, "replace", fails)
    if failing == 3 and not old:  # there is no fourth step without an old folder
        place(target, NEW)
        return
    with pytest.raises(RunError, match=r"target could not be saved: No space left on device"):
        place(target, NEW)
    assert files(tmp_path) == {f"target/{name}": content for name, content in old.items()}
