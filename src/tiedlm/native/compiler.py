"""C++ loops built by this machine's compiler at first use, and kept for later processes.

What is kept has a name made of everything it depends on (source, compiler, processor), so that another machine with the
same home folder, or a newer compiler, builds its own.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from tiedlm.files import published
from tiedlm.locations import cache_dir

FOLDER = Path(__file__).with_name("loops")
FLAGS = ("-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-shared", "-fPIC")
"""Not -ffast-math, under which what is not a number would pass for one."""
TRIED = (
    ("-march=native", "-mprefer-vector-width=512", "-fopenmp"),
    ("-march=native", "-fopenmp"),
    ("-march=native",),
    (),
)
"""Further flags, the fastest first; the first that the compiler takes are used. Without OpenMP one thread runs."""

_ONE_THREAD = threading.Lock()
"""Held while the loops are looked for and built: other threads wait for them instead of building them too."""


@functools.cache
def compiled_loops() -> ctypes.CDLL:
    """Return the loops, built if they have not been.

    Raises:
        OSError: there is no compiler, it fails, or what it has built cannot be kept or loaded; the reason is said.
    """
    with _ONE_THREAD:
        compiler = _compiler()
        place = cache_dir() / "loops" / f"{_key(compiler)}.so"
        if not place.exists():
            with published(place) as partial:
                _build(compiler, partial)
        return ctypes.CDLL(str(place))


@functools.cache
def missing_compiler() -> str | None:
    """Return why the loops cannot be had here, in one line of words, or None if they can. It is found out by trying."""
    try:
        compiled_loops()
    except OSError as error:
        return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    return None


def _compiler() -> str:
    """Return the path of the C++ compiler: the one that the variable CXX names, or a usual one."""
    asked = os.environ.get("CXX")
    for name in (asked,) if asked else ("g++", "clang++", "c++"):
        found = shutil.which(name)
        if found is not None:
            return found
    raise FileNotFoundError(f"no C++ compiler {asked!r}, which CXX names" if asked else "no C++ compiler found")


def _key(compiler: str) -> str:
    sources = [file.read_text() for file in sorted(FOLDER.iterdir())]
    parts = (sources, FLAGS, TRIED, _run([compiler, "--version"]), sys.platform, _processor())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _processor() -> str:
    """Return what the processor can do, or what it is called."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())


def _build(compiler: str, place: Path) -> None:
    sources = [str(file) for file in sorted(FOLDER.glob("*.cpp"))]
    for further in TRIED[:-1]:
        try:
            _run([compiler, *FLAGS, *further, *sources, "-o", str(place)])
        except OSError:
            continue
        return
    _run([compiler, *FLAGS, *sources, "-o", str(place)])


def _run(command: list[str]) -> str:
    """Return what the command prints."""
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        raise OSError(f"{Path(command[0]).name} failed: {lines[0]}")
    return done.stdout
