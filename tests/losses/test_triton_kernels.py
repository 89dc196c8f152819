"""The student's kernels: code for a GPU can be made of each. What they compute: `apart/checks_passes_triton`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from support.gpu_code import ptx
from tiedlm.losses import triton_kernels


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


OTHER = r"\b(add|sub|mul|fma|div)\.(rn\.)?(bf16|f64)"


@pytest.mark.parametrize("kernel", [triton_kernels.cross_entropy_gradient, triton_kernels.augmented_gradient])
def test_gradients_are_rounded_once_to_nearest_from_single_precision(kernel: Any) -> None:
    code = ptx(kernel)
    assert "cvt.rn.bf16" in code
    assert re.search(OTHER, code) is None


@pytest.mark.parametrize("kernel", [triton_kernels.cross_entropy, triton_kernels.augmented])
def test_losses_stay_in_single_precision(kernel: Any) -> None:
    code = ptx(kernel)
    assert "cvt.rn.bf16" not in code
    assert re.search(OTHER, code) is None


def test_the_bias_gradient_is_summed_without_atomic_additions() -> None:
    assert re.search(r"\b(atom|red)\.", ptx(triton_kernels.add_bias_gradient)) is None


def test_options_keep_double_precision() -> None:
    assert ptx(triton_kernels.augmented_gradient, "fp64", "fp64").count(".param .f64") == 2
