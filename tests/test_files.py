"""Files that are whole or absent."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tiedlm import files
from tiedlm.errors import RunError


def test_a_published_file_is_there_and_nothing_else(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "new" / "file", b"content")
    assert (tmp_path / "new" / "file").read_bytes() == b"content"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


def test_a_block_that_fails_leaves_the_old_file_and_no_partial_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_bytes(path, b"old")

    def cut() -> None:
        with files.published(path) as partial:
            partial.write_bytes(b"new, but not whole")
            raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        cut()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_bytes(path, b"old")
    with files.published(path) as partial:
        partial.write_bytes(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_a_file_is_flushed_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    real_flush, real_replace = files.flush, os.replace
    monkeypatch.setattr(files, "flush", lambda path: (happened.append(f"flush {path.suffix}"), real_flush(path)))
    monkeypatch.setattr(os, "replace", lambda *paths: (happened.append("rename"), real_replace(*paths)))
    files.write_bytes(tmp_path / "file", b"content")
    assert happened == ["flush .partial", "rename", "flush "]


def test_json_round_trip_and_its_refusals(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    files.write_json(path, {"b": [1, 2.5, None], "a": "é"})
    assert files.read_json(path) == {"a": "é", "b": [1, 2.5, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(path, float("nan"))
    assert files.read_json(path)["a"] == "é"


@pytest.mark.parametrize("content", [b"{", b"", b"\xff"])
def test_damaged_json_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "value.json"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"value\.json is not readable as JSON"):
        files.read_json(path)


def test_missing_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"value\.json is missing"):
        files.read_json(tmp_path / "value.json")


def test_sha256(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 3_000_000)
    assert files.sha256(path) == hashlib.sha256(b"x" * 3_000_000).hexdigest()
