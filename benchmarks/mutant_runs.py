"""Runs the losses' tests against a changed module, each time in a process that is forked with PyTorch already loaded.

The package and its tests are copied; a process that is forked for one change writes the changed module there, imports
the copy for the first time, and runs test modules in turn until one fails.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

PROJECT = Path(__file__).resolve().parents[1]
LOSSES = Path("src/tiedlm/losses")
CPU_SECONDS, SECONDS = 150, 900
"""A process that has run longer than the first, or been alive longer than the second, is said never to end."""
OPTIONS = ["-x", "--assert=plain", "-p", "no:cacheprovider", "--hypothesis-profile=mutants", "--tb=no", "--no-header"]
DEAD = {signal.SIGXCPU, signal.SIGKILL}


class Outcome(NamedTuple):
    """What became of a change."""

    outcome: str
    """`killed` by a test that failed, `survived` all of them, or ended by the clock: `timeout`."""
    by: str
    """The test that failed, or that no module could be imported."""
    seconds: float


def copied(folder: Path) -> Path:
    """Copy what the tests need to a new folder and return it."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("src", "tests", "benchmarks"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy2(PROJECT / name, folder / name)
    return folder


def prepare(tree: Path) -> None:
    """Load what does not depend on the package, and make this process and all after it use the copy."""
    import hypothesis
    import pytest  # noqa: F401
    import torch
    import torch._inductor.compile_fx

    torch.set_num_threads(1)
    sys.dont_write_bytecode = True  # a changed module may have the size and the second of the one before
    path = os.pathsep.join([str(tree / "src"), str(tree / "tests")])
    os.environ.update({"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"})
    os.environ.update({"OMP_NUM_THREADS": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1"})
    sys.path[:0] = [str(tree / "src")]
    for name in [name for name in sys.modules if name.split(".")[0] == "tiedlm"]:
        del sys.modules[name]  # what was loaded so far is not the copy
    found, kept = hypothesis.Phase, hypothesis.settings.get_profile("ci")
    hypothesis.settings.register_profile("mutants", kept, phases=[found.explicit, found.generate])  # nothing to shrink


def run(tree: Path, module: str, text: str, tests: Sequence[str]) -> Outcome:
    """Return what the tests say of the module with this text; the module is as it was afterwards."""
    began, path, said = time.monotonic(), tree / LOSSES / f"{module}.py", tree / "said.json"
    original = path.read_text()
    path.write_text(text)
    said.unlink(missing_ok=True)
    try:
        process = _forked(lambda: _judge(tree, tests, said))
        status = _waited(process)
    finally:
        path.write_text(original)
    seconds = round(time.monotonic() - began, 2)
    if status is None or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in DEAD):
        return Outcome("timeout", "", seconds)
    by = json.loads(said.read_text()) if said.is_file() else "the process died"
    return Outcome("survived" if by is None else "killed", by or "", seconds)


def _forked(work: Callable[[], None]) -> int:
    """Return a new process that does the work and nothing after it, silently, the head of a group of its own."""
    process = os.fork()
    if process:
        return process
    try:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
        silence = os.open(os.devnull, os.O_WRONLY)
        if not os.environ.get("LOUD"):
            os.dup2(silence, 1)
            os.dup2(silence, 2)
        work()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(0)


def _waited(process: int) -> int | None:
    """Return the status of the process when it has ended, None where it had to be; nothing of its group is left."""
    deadline = time.monotonic() + SECONDS
    status = None
    while status is None and time.monotonic() < deadline:
        ended, found = os.waitpid(process, os.WNOHANG)
        status = found if ended else None
        time.sleep(0.02)
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    if status is None:
        os.waitpid(process, 0)
    return status


def _judge(tree: Path, tests: Sequence[str], said: Path) -> None:
    """Write the name of the first test that fails, or null where none does."""
    os.chdir(tree)
    by = next(filter(None, (_failure(test) for test in tests)), None)
    said.write_text(json.dumps(by))


def _failure(test: str) -> str | None:
    """Run one module of tests, or what a choice as of pytest's `-k` leaves of it, and return what failed."""
    import pytest

    module, _, choice = test.partition(" -k ")
    listener = _Listener()
    status = pytest.main([f"tests/losses/{module}.py", *OPTIONS, "-k", choice], plugins=[listener])
    quiet = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    return None if status in quiet else listener.failed or f"{module} cannot be collected"


class _Listener:
    """Hears from pytest which test failed."""

    failed = ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid
