"""Whether anything can be compiled here is found out by compiling, and what is said where it cannot."""

from __future__ import annotations

import ctypes
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.native_code import needs_a_compiler
from tiedlm.native import compiler
from tiedlm.native.compiler import missing_compiler

ASKED = """
from tiedlm.losses.linear import COMPILED_LOGITS, picked
print(picked("auto", COMPILED_LOGITS)[0])
print(picked("auto", COMPILED_LOGITS)[1])
"""


def answer(**environment: str) -> list[str]:
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", ASKED],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.splitlines()


def test_without_a_compiler_the_plain_passes_run_and_the_reason_is_told(tmp_path: Path) -> None:
    name, reason = answer(CXX=str(tmp_path / "no-compiler"), TIEDLM_CACHE_DIR=str(tmp_path / "cache"))
    assert name == "chunked"
    assert reason.startswith("its passes cannot be compiled here (")
    assert "no-compiler" in reason


def test_a_compiler_that_fails_is_told_by_its_first_line(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text('#!/bin/sh\n[ "$1" = --version ] && echo 1 && exit\necho no headers here >&2; exit 1\n')
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    name, reason = answer(CXX=str(broken), TIEDLM_CACHE_DIR=str(tmp_path / "cache"))
    assert name == "chunked"
    assert "broken failed: no headers here" in reason
    assert not list((tmp_path / "cache" / "loops").iterdir())


@needs_a_compiler
def test_what_was_built_is_kept(tmp_path: Path) -> None:
    files = set()
    for _ in range(2):
        assert answer(TIEDLM_CACHE_DIR=str(tmp_path))[0] == "compiled"
        (kept,) = (tmp_path / "loops").iterdir()
        assert kept.suffix == ".so"
        files.add((kept.stat().st_ino, kept.stat().st_mtime_ns))
    assert len(files) == 1


def test_threads_build_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noting, builds = tmp_path / "noting", tmp_path / "builds"
    noting.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && exit\necho one >> {builds}; shift $(($# - 1)); echo loops > "$1"\n'
    )
    noting.chmod(noting.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CXX", str(noting))
    monkeypatch.setenv("TIEDLM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(ctypes, "CDLL", lambda path: Path(path).read_text())
    with ThreadPoolExecutor(4) as threads:
        loaded = [threads.submit(compiler.compiled_loops.__wrapped__) for _ in range(4)]
    assert [one.result() for one in loaded] == ["loops\n"] * 4
    assert builds.read_text() == "one\n"


def test_an_older_compiler_is_asked_for_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def picky(command: list[str]) -> str:
        asked.append(command)
        if "-march=native" in command:
            raise OSError("unknown flag")
        return ""

    monkeypatch.setattr(compiler, "_run", picky)
    compiler._build("c++", tmp_path / "loops.so")
    assert len(asked) == len(compiler.TRIED)
    assert "-march=native" not in asked[-1]


def test_the_name_of_what_is_kept_tells_compilers_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = set()
    for version in ("one", "two", "one"):
        monkeypatch.setattr(compiler, "_run", lambda _, version=version: version)
        keys.add(compiler._key("c++"))
    assert len(keys) == 2


def test_the_answer_is_none_or_one_line_of_words() -> None:
    missing = missing_compiler()
    assert missing is None or (missing.strip() and "\n" not in missing)
