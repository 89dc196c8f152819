"""Files that are whole or absent, and where data, caches and runs live."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tiedlm import files
from tiedlm.errors import RunError


def test_a_block_that_fails_leaves_the_old_file_and_no_partial_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_bytes(path, b"old")

    def cut() -> None:
        with files.atomic_write(path) as partial:
            partial.write_bytes(b"new, but not whole")
            raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        cut()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_threads_that_publish_one_file_write_no_common_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with ThreadPoolExecutor(1) as another, files.atomic_write(path) as partial:
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
    with pytest.raises(RunError, match=r"other\.json is missing"):
        files.read_json(tmp_path / "other.json")


@pytest.mark.parametrize(
    ("variable", "function"),
    [
        (files.DATA_VARIABLE, files.data_dir),
        (files.CACHE_VARIABLE, files.cache_dir),
        (files.RUNS_VARIABLE, files.runs_dir),
    ],
)
def test_environment_variables_decide(
    variable: str, function: Callable[[], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "here"))
    assert function() == tmp_path / "here"
    monkeypatch.setenv(variable, "~/there")
    assert function() == Path.home() / "there"
    monkeypatch.setenv(variable, "~nobodyx/there")
    assert function() == Path("~nobodyx/there")


def test_without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (files.DATA_VARIABLE, files.CACHE_VARIABLE, files.RUNS_VARIABLE):
        monkeypatch.setenv(variable, "")  # empty counts as not set
    assert files.runs_dir() == Path("runs")
    assert files.cache_dir().name == "tiedlm"
    assert files.data_dir() == files.cache_dir() / "data"
