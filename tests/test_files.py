"""Files that are whole or absent."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
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


def test_two_threads_that_publish_one_file_write_no_common_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with ThreadPoolExecutor(1) as another, files.published(path) as partial:
        partial.write_bytes(b"mine")
        another.submit(files.write_bytes, path, b"another's").result()
        assert path.read_bytes() == b"another's"
    assert path.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_flushed_before_it_gets_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    real_flush, real_replace = files.flush, os.replace
    monkeypatch.setattr(files, "flush", lambda path: (happened.append(f"flush {path.suffix}"), real_flush(path)))
    monkeypatch.setattr(os, "replace", lambda *paths: (happened.append("rename"), real_replace(*paths)))
    files.write_bytes(tmp_path / "file", b"content")
    assert happened == ["flush .partial", "rename", "flush "]


def test_json_is_written_in_the_order_that_is_asked_for() -> None:
    value = {"b": 1, "a": "é"}
    assert files.json_bytes(value) == '{\n  "a": "é",\n  "b": 1\n}\n'.encode()
    assert files.json_bytes(value, sort_keys=False) == '{\n  "b": 1,\n  "a": "é"\n}\n'.encode()


def test_a_file_name_that_is_not_utf8_survives_json(tmp_path: Path) -> None:
    name = os.fsdecode(b"tr\xff.txt")
    files.write_json(tmp_path / "value.json", {"train": name, "a": "é"})
    assert files.read_json(tmp_path / "value.json") == {"train": name, "a": "é"}


def test_the_sha256_of_a_json_value_is_that_of_its_content_alone() -> None:
    assert files.json_sha256({"b": 1, "a": [2]}) == files.json_sha256({"a": [2], "b": 1})
    assert files.json_sha256({"a": [2]}) == hashlib.sha256(b'{"a": [2]}').hexdigest()


def test_json_round_trip_and_its_refusals(tmp_path: Path) -> None:
    path = tmp_path / "value.json"
    files.write_json(path, {"b": [1, 2.5, None], "a": "é"})
    assert files.read_json(path) == {"a": "é", "b": [1, 2.5, None]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(path, float("nan"))
    assert files.read_json(path)["a"] == "é"


@pytest.mark.parametrize("content", [b"{", b"", b"\xff", b"[" * 100_000, b"9" * 5_000])
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
