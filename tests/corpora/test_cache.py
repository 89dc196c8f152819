from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tiedlm.corpora.cache import RECORD, cached
from tiedlm.errors import CorpusError


class Maker:
    def __init__(self) -> None:
        self.made = 0
        self.notes: list[str] = []

    def __call__(self, folder: Path) -> dict[str, Any]:
        self.made += 1
        assert list(folder.iterdir()) == []
        (folder / "a.txt").write_text("abc")
        (folder / "b.txt").write_text("de")
        return {"words": 5}

    def ask(self, folder: Path) -> dict[str, Any]:
        return cached(folder, self, self.notes.append)


def test_a_folder_is_made_once(tmp_path: Path) -> None:
    folder, maker = tmp_path / "x" / "y", Maker()
    assert maker.ask(folder) == {"words": 5}
    assert maker.ask(folder) == {"words": 5}
    assert maker.made == 1
    assert maker.notes == []
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "b.txt", RECORD]
    assert {path.name for path in folder.parent.iterdir()} <= {"y", "y.lock"}


def rewrite(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize(
    ("damage", "note"),
    [
        (lambda folder: (folder / "a.txt").write_text("abd"), "a.txt has another sha256 than when it was written."),
        (lambda folder: (folder / "b.txt").write_text("d"), "b.txt has 1 bytes instead of 2."),
        (lambda folder: (folder / "b.txt").unlink(), "b.txt is missing."),
        (lambda folder: rewrite(folder / RECORD, made={}), f"{RECORD} has another sha256 than when it was written."),
        (lambda folder: rewrite(folder / RECORD, files=[]), f"{RECORD} has another sha256 than when it was written."),
        (lambda folder: rewrite(folder / RECORD, version=2), f"{RECORD} is not of version 1."),
        (lambda folder: (folder / RECORD).write_text("[]"), f"{RECORD} is not of version 1."),
        (lambda folder: (folder / RECORD).write_text("{"), f"{RECORD} is not readable as JSON"),
        (lambda folder: (folder / RECORD).unlink(), f"{RECORD} is missing."),
    ],
)
def test_a_damaged_folder_is_made_anew_with_a_note(tmp_path: Path, damage: Any, note: str) -> None:
    folder, maker = tmp_path / "y", Maker()
    maker.ask(folder)
    damage(folder)
    assert maker.ask(folder) == {"words": 5}
    assert maker.made == 2
    assert len(maker.notes) == 1
    assert maker.notes[0].startswith(f"{folder} is damaged and is made anew: ")
    assert note in maker.notes[0]
    assert maker.ask(folder) == {"words": 5}
    assert maker.made == 2
    assert (folder / "a.txt").read_text() == "abc"


def test_a_maker_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> dict[str, Any]:
        (folder / "a.txt").write_text("abc")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached(tmp_path / "y", fail, print)
    assert {path.name for path in tmp_path.iterdir()} <= {"y.lock"}


def test_what_a_killed_maker_left_is_cleared(tmp_path: Path) -> None:
    (tmp_path / "y.partial").mkdir()
    (tmp_path / "y.partial" / "old.txt").write_text("x")
    maker = Maker()
    maker.ask(tmp_path / "y")
    assert maker.notes == []
    assert not (tmp_path / "y.partial").exists()
    assert not (tmp_path / "y" / "old.txt").exists()


def test_a_full_disk(tmp_path: Path) -> None:
    def fail(folder: Path) -> dict[str, Any]:
        (folder / "a.txt").write_text("abc")
        raise OSError(28, "No space left on device")

    with pytest.raises(CorpusError) as raised:
        cached(tmp_path / "y", fail, print)
    assert str(raised.value) == (
        f"The folder {tmp_path / 'y'} cannot be made or read: No space left on device. Make room there, or set "
        "TIEDLM_CACHE_DIR to another folder."
    )
    assert {path.name for path in tmp_path.iterdir()} <= {"y.lock"}


def test_a_file_in_the_place_of_the_folder_above(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(CorpusError, match=r"^The folder .*y cannot be made or read: File exists\. Make room there"):
        Maker().ask(tmp_path / "x" / "y")


ASK_SLOWLY = """
import sys, time
from pathlib import Path
from tiedlm.corpora.cache import cached

def make(folder):
    with (folder.parent / "made").open("a") as file:
        file.write("x")
    time.sleep(0.2)
    (folder / "a.txt").write_text("abc")
    return {"words": 1}

assert cached(Path(sys.argv[1]), make, print) == {"words": 1}
"""


def test_processes_that_ask_at_once_make_it_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ASK_SLOWLY, str(tmp_path / "y")]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait() for process in processes] == [0] * 4
    assert (tmp_path / "made").read_text() == "x"
