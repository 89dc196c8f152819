"""Whether Triton's kernels run: what is said without Triton, with it, and where it interprets."""

from __future__ import annotations

import sys

import pytest

from support.triton_tests import INTERPRETED, TRITON
from tiedlm.native.triton_runs import interpreted, missing_triton, power_of_two


@TRITON
@pytest.mark.skipif(INTERPRETED, reason="Triton interprets in this process")
def test_compiled_kernels_are_for_a_gpu() -> None:
    assert missing_triton("cuda") is None
    assert "run on a GPU, and the tensors are on cpu" in (missing_triton("cpu") or "")


def test_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton.runtime", None)
    assert "Triton cannot be imported" in (missing_triton("cuda") or "")


@TRITON
def test_whether_it_interprets_is_what_it_was_told() -> None:
    assert interpreted() == INTERPRETED


@pytest.mark.parametrize(("count", "power"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (1000, 1024)])
def test_powers_of_two(count: int, power: int) -> None:
    assert power_of_two(count) == power
