"""Whether anything can be compiled here is found out by compiling, and what is said where it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tiedlm.losses.compiler import missing_compiler

ASKED = """
from tiedlm.losses.linear import COMPILED_LOGITS, picked
print(picked("auto", COMPILED_LOGITS)[0])
print(picked("auto", COMPILED_LOGITS)[1])
"""


def answer(**environment: str) -> list[str]:
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASKED],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.splitlines()


def test_without_a_compiler_the_plain_passes_run_and_the_reason_is_told(tmp_path: Path) -> None:
    name, reason = answer(CXX=str(tmp_path / "no-compiler"), TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "cache"))
    assert name == "chunked"
    assert reason.startswith("its passes cannot be compiled here (")
    assert "no-compiler" in reason or "Compiler" in reason


def test_the_answer_is_none_or_one_line_of_words() -> None:
    missing = missing_compiler()
    assert missing is None or (missing.strip() and "\n" not in missing)
