"""The teacher's kernels: code for a GPU can be made of each. What they compute: `apart/checks_passes_triton`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.gpu_code import ptx
from tiedlm.losses import triton_teacher


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


def test_soft_targets_stay_in_single_precision() -> None:
    code = ptx(triton_teacher.soft_targets)
    assert "cvt.rn.bf16" not in code
    assert re.search(r"\b(add|sub|mul|fma|div)\.(rn\.)?(bf16|f64)", code) is None


def test_means_are_summed_without_atomic_additions() -> None:
    assert re.search(r"\b(atom|red)\.", ptx(triton_teacher.teacher_means)) is None


def test_the_gradient_is_rounded_once_to_nearest_from_single_precision() -> None:
    code = ptx(triton_teacher.teacher_gradient)
    assert "cvt.rn.bf16" in code
    assert re.search(r"\b(add|sub|mul|fma|div)\.(rn\.)?(bf16|f64)", code) is None
