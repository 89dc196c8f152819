"""The C++ loops: compiled on this machine at first use, cached for later processes, called with tensors.

    loops/KEY.SHA256.so     the library; KEY covers sources, flags, compiler and processor, SHA256 the library itself
    loops/KEY.*.partial/    a build in progress: its output and the compiler's temporary files
    loops/.lock             held while building, so that one process builds and the others wait for it

A cached library is loaded only if it is a regular file (links are not followed) whose content has the sha256 in its
name; anything else under that key is removed and rebuilt. The rename that gives a library its name is the last step of
a build, so a process killed before it leaves only a partial folder, which the next build removes.
"""

from __future__ import annotations

import ctypes
import fcntl
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiedlm.files import PARTIAL, cache_dir, flush, open_regular, sha256

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = Path(__file__).with_name("loops")
FLAGS = ("-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-shared", "-fPIC")
"""Not -ffast-math, under which NaN would pass for a number."""
EXTRA_FLAGS = (
    ("-march=native", "-mprefer-vector-width=512", "-fopenmp"),
    ("-march=native", "-fopenmp"),
    ("-march=native",),
    (),
)
"""The fastest first; the first that the compiler accepts are used. Without OpenMP the loops use one thread."""
MAX_BYTES = 64 * 2**20
"""A library of the loops has about 100 KB."""
TIMEOUT_SECONDS = 300.0
"""For one run of the compiler, which takes ten seconds on a busy core."""

_BUILD_LOCK = threading.Lock()
"""Between the threads of this process; `.lock` is between processes."""
_DIE_WITH_US = 'exec 3<&0; "$@" & compiler=$!; (read -r line <&3; kill -KILL 0) >/dev/null 2>&1 & wait $compiler'
"""Shell script around a command, which leads a process group: when our end of the pipe that is its standard input is
closed, by us or by our death, it kills the group, and with it every process that the compiler has started."""


def call_native(name: str, *arguments: Tensor | int | float | None) -> None:
    """Call a function of `loops/` that returns nothing.

    A tensor is passed as the address of its first entry, so the caller answers for layout, type and device; an int as
    int64, a float as double, None as a null pointer. Where the loops cannot be compiled, an OSError is raised.
    """

    def as_c(value: Tensor | int | float | None) -> Any:
        if isinstance(value, (float, int)):
            return ctypes.c_double(value) if isinstance(value, float) else ctypes.c_int64(value)
        return ctypes.c_void_p(None if value is None else value.data_ptr())

    function = getattr(native_library(), name)
    function.restype = None
    function(*map(as_c, arguments))


@functools.cache
def native_library() -> ctypes.CDLL:
    """Return the loops, from the cache or compiled now.

    Raises:
        OSError: there is no compiler, it fails, or its output cannot be stored or loaded; the message says which.
    """
    with _BUILD_LOCK:
        compiler = _compiler()
        key, folder = _key(compiler), cache_dir().absolute() / "loops"
        path = _cached(folder, key)
        if path is None:
            folder.mkdir(parents=True, exist_ok=True)
            with _locked(folder):
                path = _cached(folder, key) or _build(compiler, folder, key)
        return ctypes.CDLL(str(path))


@functools.cache
def compiler_unavailable() -> str | None:
    """Return why the loops cannot be had here, in one line, or None if they can, which is found out by trying."""
    try:
        native_library()
    except OSError as error:
        return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    return None


def _compiler() -> str:
    """Return the path of the C++ compiler: the one that the variable CXX names, or a usual one."""
    requested = os.environ.get("CXX")
    for name in (requested,) if requested else ("g++", "clang++", "c++"):
        path = shutil.which(name)
        if path is not None:
            return path
    raise FileNotFoundError(f"no C++ compiler {requested!r}, which CXX names" if requested else "no C++ compiler found")


def _key(compiler: str) -> str:
    sources = [file.read_text() for file in sorted(FOLDER.iterdir())]
    parts = (sources, FLAGS, EXTRA_FLAGS, _run([compiler, "--version"]), sys.platform, _instruction_sets())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _instruction_sets() -> str:
    """Return the processor's instruction sets, or its name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())


def _cached(folder: Path, key: str) -> Path | None:
    """Return a library of this key that is whole, or None.

    Raises:
        OSError: the folder is a link, or no folder.
    """
    if folder.is_symlink():
        raise OSError(f"{folder} is a symbolic link, and compiled code is not loaded through one: remove it")
    for path in sorted(folder.glob(f"{key}.*.so")):
        with suppress(OSError), open_regular(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
            if len(content) <= MAX_BYTES and path.name.split(".")[1] == hashlib.sha256(content).hexdigest():
                return path
    return None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system frees it when its process dies."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(folder / ".lock", flags, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _build(compiler: str, folder: Path, key: str) -> Path:
    """Compile the loops and return the library's path, its name being the last thing that is made."""
    for entry in folder.iterdir():  # the lock is ours, so these are damaged, or left by builds that were killed
        if not (entry.name.startswith(key) or entry.name.endswith(PARTIAL)):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    partial = Path(tempfile.mkdtemp(PARTIAL, f"{key}.", folder))
    try:
        library = partial / "loops.so"
        _compile(compiler, library)
        flush(library)
        path = folder / f"{key}.{sha256(library)}.so"
        os.replace(library, path)
        flush(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return path


def _compile(compiler: str, library: Path) -> None:
    sources = [str(file) for file in sorted(FOLDER.glob("*.cpp"))]
    for extra in EXTRA_FLAGS:
        try:
            _run([compiler, *FLAGS, *extra, *sources, "-o", str(library)], TMPDIR=str(library.parent))
            return
        except OSError:
            if extra == EXTRA_FLAGS[-1]:
                raise


def _run(command: list[str], **environment: str) -> str:
    """Return what the command prints. It and every process that it starts end with us, however we end."""
    ends = os.pipe()
    with (
        open(ends[0], "rb") as reader,
        subprocess.Popen(
            ["/bin/sh", "-c", _DIE_WITH_US, "sh", *command],
            stdin=reader,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=os.environ | environment,
            start_new_session=True,
        ) as process,
        open(ends[1], "wb"),
    ):
        try:
            output, errors = process.communicate(timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise OSError(f"{Path(command[0]).name} did not end within {TIMEOUT_SECONDS:g} seconds") from error
    if process.returncode != 0:
        lines = errors.strip().splitlines() or [f"ended with {process.returncode}"]
        raise OSError(f"{Path(command[0]).name} failed: {lines[0]}")
    return output
