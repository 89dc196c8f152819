"""The C++ loops: what reaches them, what is cached, and how a damaged cache or a killed build is mended."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tiedlm.native import build
from tiedlm.native.build import compiler_unavailable

VERSION = '[ "$1" = --version ] && echo 1 && exit\n'
COMPILE = f'{VERSION}shift $(($# - 1)); echo compiled > "$1"; echo once >> "$0.runs"\n'


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Makes a shell script the C++ compiler; a library is loaded as its text, from an empty cache."""
    path = tmp_path / "compiler"
    monkeypatch.setenv("CXX", str(path))
    monkeypatch.setenv("TIEDLM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(ctypes, "CDLL", lambda library: Path(library).read_text())
    monkeypatch.setattr(build, "native_library", build.native_library.__wrapped__)

    def write(script: str) -> Path:
        path.write_text(f"#!/bin/sh\n{script}")
        path.chmod(0o755)
        return path

    return write


def cached(tmp_path: Path) -> list[Path]:
    return sorted(path for path in (tmp_path / "cache" / "loops").iterdir() if path.name != ".lock")


def test_threads_build_once(compiler: Callable[[str], Path]) -> None:
    path = compiler(COMPILE)
    with ThreadPoolExecutor(4) as threads:
        loaded = [threads.submit(build.native_library) for _ in range(4)]
    assert [one.result() for one in loaded] == ["compiled\n"] * 4
    assert path.with_name("compiler.runs").read_text() == "once\n"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (None, "FileNotFoundError: no C++ compiler '{path}', which CXX names"),
        (f"{VERSION}echo no headers here >&2; exit 1\n", "OSError: compiler failed: no headers here"),
    ],
)
def test_why_nothing_can_be_compiled_is_one_line(
    script: str | None, reason: str, compiler: Callable[[str], Path], tmp_path: Path
) -> None:
    if script is not None:
        compiler(script)
    assert compiler_unavailable.__wrapped__() == reason.format(path=tmp_path / "compiler")
    assert not (tmp_path / "cache" / "loops").exists() or cached(tmp_path) == []


def test_an_older_compiler_gets_fewer_flags(compiler: Callable[[str], Path]) -> None:
    compiler(f'case "$*" in *-march=native*) exit 1;; esac\n{COMPILE}')
    assert build.native_library() == "compiled\n"


def test_each_compiler_builds_its_own_once(compiler: Callable[[str], Path], tmp_path: Path) -> None:
    for version in ("1", "2", "1", "2"):
        compiler(COMPILE.replace("echo 1", f"echo {version}"))
        build.native_library()
    assert len(cached(tmp_path)) == 2
    assert (tmp_path / "compiler.runs").read_text() == "once\n" * 2


def _truncate(library: Path, elsewhere: Path) -> None:
    os.truncate(library, 4)


def _flip(library: Path, elsewhere: Path) -> None:
    content = library.read_bytes()
    library.write_bytes(content[:3] + bytes([content[3] ^ 1]) + content[4:])


def _link(library: Path, elsewhere: Path) -> None:
    shutil.move(library, elsewhere)  # whole, but it may change there unseen
    library.symlink_to(elsewhere)


def _folder(library: Path, elsewhere: Path) -> None:
    library.unlink()
    library.mkdir()
    (library / "file").write_text("anything")


def _fifo(library: Path, elsewhere: Path) -> None:
    library.unlink()
    os.mkfifo(library)


def _unreadable(library: Path, elsewhere: Path) -> None:
    library.write_text("other")
    library.chmod(0)


@pytest.mark.parametrize("damage", [_truncate, _flip, _link, _folder, _fifo, _unreadable])
def test_a_damaged_library_is_not_loaded_but_built_again(
    damage: Callable[[Path, Path], None], compiler: Callable[[str], Path], tmp_path: Path
) -> None:
    path = compiler(COMPILE)
    build.native_library()
    (library,) = cached(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    damage(library, elsewhere)
    before = elsewhere.read_bytes() if elsewhere.exists() else None
    assert build.native_library() == "compiled\n"
    assert path.with_name("compiler.runs").read_text() == "once\n" * 2
    assert cached(tmp_path) == [library]
    assert library.is_file()
    assert not library.is_symlink()
    assert (elsewhere.read_bytes() if elsewhere.exists() else None) == before


def test_a_cache_that_is_a_link_is_refused(compiler: Callable[[str], Path], tmp_path: Path) -> None:
    compiler(COMPILE)
    (tmp_path / "cache").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "cache" / "loops").symlink_to(tmp_path / "elsewhere")
    assert "loops is a symbolic link" in str(compiler_unavailable.__wrapped__())
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_compiler_ends_with_the_process_that_started_it(
    number: signal.Signals, compiler: Callable[[str], Path], tmp_path: Path
) -> None:
    compiler(f'{VERSION}echo half > "$TMPDIR/half"; sleep 300 & echo $! > "$0.pid"; wait\n')
    program = "from tiedlm.native.build import native_library; native_library()"
    process = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    pid_file = tmp_path / "compiler.pid"
    _wait_until(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"))
    process.send_signal(number)
    process.wait()
    started_by_it = int(pid_file.read_text())
    _wait_until(lambda: not _runs(started_by_it))
    compiler(COMPILE)
    assert build.native_library() == "compiled\n"
    (library,) = cached(tmp_path)
    assert library.suffix == ".so"


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def _runs(process: int) -> bool:
    """Whether it exists and is no zombie."""
    try:
        if Path("/proc/self").exists():
            return ") Z" not in Path(f"/proc/{process}/stat").read_text()
        os.kill(process, 0)
    except OSError:
        return False
    return True
