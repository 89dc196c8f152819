"""Triton's passes: where they cannot run, and the checks that run them without a GPU."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from support.triton_tests import BOTH_WAYS, TRITON, check_apart
from tiedlm.errors import ArgumentError
from tiedlm.losses.passes_triton import TritonPasses


@TRITON
@BOTH_WAYS
def test_the_passes(interpret: str) -> None:
    check_apart(Path(__file__).parent / "apart" / "checks_passes_triton.py", interpret)


def test_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton.runtime", None)
    with pytest.raises(ArgumentError, match=r"cannot run: Triton cannot be imported.* use 'chunked'"):
        TritonPasses()


@pytest.mark.parametrize("block", [0, -4, 3, 1000])
def test_a_block_is_a_power_of_two(block: int) -> None:
    with pytest.raises(ArgumentError, match=f"block is {block}, but must be a power of two"):
        TritonPasses(block)
