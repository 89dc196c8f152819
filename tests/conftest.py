"""Fixtures for all tests."""

import os
import signal
from pathlib import Path

import pytest

from tiedlm.files import DATA_VARIABLE

# A shell's job in the background ignores Control-C, and so would the processes that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder with the published corpora, by the environment variable or beside the project; skips without one."""
    folder = Path(os.environ.get(DATA_VARIABLE) or PROJECT.parent / "shared" / "data")
    missing = [name for name in ("ptb/ptb.train.txt", "wikitext-2/train.txt") if not (folder / name).is_file()]
    if missing:
        pytest.skip(f"{folder} lacks {missing[0]}; set {DATA_VARIABLE} to a folder with ptb and wikitext-2")
    return folder


@pytest.fixture(autouse=True)
def freed_memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """`tiedlm train` has its process keep what it frees, for good; run inside the tests' process, it leaves it be."""
    monkeypatch.setattr("tiedlm.native.device.keep_freed_memory", lambda: False)
