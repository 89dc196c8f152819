"""Triton's passes: where they cannot run, and the checks that run them without a GPU."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.gpus import NEEDS_GPU
from tiedlm.errors import ArgumentError
from tiedlm.losses.passes_triton import TritonPasses, missing_triton

CHECKS = Path(__file__).parent / "apart" / "checks_passes_triton.py"
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
TRITON = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")


@TRITON
@pytest.mark.parametrize("interpret", ["1", pytest.param("0", marks=NEEDS_GPU)], ids=["interpreted", "compiled"])
def test_the_passes(interpret: str) -> None:
    """In a process of its own, as Triton asks whether to interpret when it is imported."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(CHECKS)]
    environment = {**os.environ, "TRITON_INTERPRET": interpret}
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@TRITON
@pytest.mark.skipif(INTERPRETED, reason="Triton interprets in this process")
def test_compiled_kernels_are_for_a_gpu() -> None:
    assert missing_triton("cuda") is None
    assert "run on a GPU, and the tensors are on cpu" in (missing_triton("cpu") or "")


def test_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton.runtime", None)
    assert "Triton cannot be imported" in (missing_triton("cuda") or "")
    with pytest.raises(ArgumentError, match=r"cannot run: Triton cannot be imported.* use 'chunked'"):
        TritonPasses()


@pytest.mark.parametrize("block", [0, -4, 3, 1000])
def test_a_block_is_a_power_of_two(block: int) -> None:
    with pytest.raises(ArgumentError, match=f"block is {block}, but must be a power of two"):
        TritonPasses(block)
