"""Triton's backend: where it cannot run, the checks that run it without a GPU, and the code of each kernel."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from support.gpu_code import ptx
from support.triton_tests import BOTH_WAYS, TRITON, check_apart
from tiedlm.errors import ArgumentError
from tiedlm.losses import triton
from tiedlm.losses.augmented import select_implementation
from tiedlm.losses.triton import TritonBackend


@TRITON
@BOTH_WAYS
def test_the_backend(interpret: str) -> None:
    check_apart(Path(__file__).parent / "apart" / "checks_triton.py", interpret)


def test_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton.runtime", None)
    with pytest.raises(ArgumentError, match=r"cannot run here \(Triton cannot be imported.* use 'chunked'"):
        select_implementation("triton", device="cuda")


@pytest.mark.parametrize("block", [0, -4, 3, 1000])
def test_a_block_is_a_power_of_two(block: int) -> None:
    with pytest.raises(ArgumentError, match=f"block is {block}, but must be a power of two"):
        TritonBackend(block)


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


OTHER = r"\b(add|sub|mul|fma|div)\.(rn\.)?(bf16|f64)"
STORED_GRADIENTS = [triton._cross_entropy_grad_kernel, triton._augmented_grad_kernel, triton._teacher_grad_kernel]
LOSSES = [triton._cross_entropy_kernel, triton._augmented_kernel, triton._soft_targets_kernel]


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("kernel", STORED_GRADIENTS)
def test_gradients_are_rounded_once_to_nearest_from_single_precision(kernel: Any) -> None:
    code = ptx(kernel)
    assert "cvt.rn.bf16" in code
    assert re.search(OTHER, code) is None


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("kernel", LOSSES)
def test_losses_stay_in_single_precision(kernel: Any) -> None:
    code = ptx(kernel)
    assert "cvt.rn.bf16" not in code
    assert re.search(OTHER, code) is None


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("kernel", [triton._add_bias_grad_kernel, triton._teacher_means_kernel])
def test_sums_are_made_without_atomic_additions(kernel: Any) -> None:
    assert re.search(r"\b(atom|red)\.", ptx(kernel)) is None


@pytest.mark.usefixtures("own_cache")
def test_options_keep_double_precision() -> None:
    assert ptx(triton._augmented_grad_kernel, "fp64", "fp64").count(".param .f64") == 2
