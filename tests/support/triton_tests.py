"""Tests of Triton's kernels: skipped without Triton, and run in processes of their own, interpreted and compiled."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.gpus import NEEDS_GPU

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
TRITON = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
BOTH_WAYS = pytest.mark.parametrize(
    "interpret", ["1", pytest.param("0", marks=NEEDS_GPU)], ids=["interpreted", "compiled"]
)
DEVICE = "cpu" if INTERPRETED else "cuda"
"""Where the kernels run in such a process."""


def check_apart(checks: Path, interpret: str) -> None:
    """Run a file of checks in a process of its own, as Triton asks whether to interpret when it is imported."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(checks)]
    environment = {**os.environ, "TRITON_INTERPRET": interpret}
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
