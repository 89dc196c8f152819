"""The steps' kernels: code for a GPU can be made of each. What they compute: `apart/checks_lstm_triton`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from support.gpu_code import ptx
from tiedlm.layers import lstm_kernels

KERNELS = pytest.mark.parametrize("kernel", [lstm_kernels.lstm_forward, lstm_kernels.lstm_backward])


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


def code_of(kernel: Any, narrow: str, **options: str) -> str:
    return ptx(kernel, narrow, mask="*fp32", **options)


@KERNELS
@pytest.mark.parametrize(("narrow", "product"), [("bf16", "bf16.bf16"), ("fp16", "f16.f16"), ("fp32", "tf32.tf32")])
def test_products_are_of_their_type_and_add_up_in_single_precision(kernel: Any, narrow: str, product: str) -> None:
    found = re.findall(r"mma\.sync\.\S+\.f32\.(\S+)\.f32", code_of(kernel, narrow))
    assert found
    assert set(found) == {product}


@KERNELS
def test_programs_wait_for_what_others_have_stored(kernel: Any) -> None:
    """One addition tells of what this program has stored; it and each look at the sum show what others have."""
    orders = re.findall(r"(?:atom|ld)\.global\.\S*(acq_rel|release|acquire|relaxed)", code_of(kernel, "bf16"))
    assert orders == ["acq_rel", "acquire"]


@KERNELS
def test_what_others_have_stored_is_read_past_the_cache_of_one_multiprocessor(kernel: Any) -> None:
    assert "ld.global.cg" in code_of(kernel, "bf16")


@KERNELS
def test_sums_are_not_made_in_another_precision(kernel: Any) -> None:
    assert re.search(r"\b(add|sub|mul|fma|div)\.(rn\.)?(bf16|f64)", code_of(kernel, "bf16")) is None
