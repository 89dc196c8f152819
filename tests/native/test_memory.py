"""Memory that is freed and asked for again is the same memory, and no page of it is fetched anew."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from tiedlm.native.memory import keep_freed_memory

PROGRAM = """
import resource
from tiedlm.native.memory import keep_freed_memory
{setting}
for _ in range(2):
    b"x" * 2**26
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    b"x" * 2**26
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(setting: str) -> int:
    """Pages that a process fetches while it makes 64 MiB four times, after it has done so twice."""
    program = PROGRAM.format(setting=setting)
    return int(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep memory")
def test_no_page_is_fetched_twice() -> None:
    without = faults("")
    if without < 1000:
        pytest.skip("this system's pages are too large to count")
    assert faults("assert keep_freed_memory()") < without / 10


def test_another_library_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: pytest.fail("it was called"))
    assert not keep_freed_memory()
