"""The code that Triton makes of a kernel for a GPU, without having one."""

from __future__ import annotations

import os
import warnings
from typing import Any

import pytest

SIZES = {"BLOCK": 256, "BLOCKS": 16, "ROWS": 16, "UNITS": 16, "INNER": 64, "PROGRAMS": 13, "PRECISION": "tf32"}
SIZES |= {"B": 16, "H": 200}
INTEGERS = {"stride", "soft_stride", "teacher_stride", "C", "V", "T"}
WORDS = {"targets", "target_row", "starts"}
NARROW = {"logits", "teacher", "read", "weight", "of_sums"}


def ptx(kernel: Any, narrow: str = "bf16", wide: str = "fp32", **types_of: str) -> str:
    """Return the kernel's assembly for compute capability 9.0, logits and factors of products being `narrow`.

    `types_of` gives the types of some parameters otherwise. The test is skipped where Triton is not installed, or
    interprets in this process.
    """
    pytest.importorskip("triton", reason="Triton is not installed")
    from triton import compiler  # pyright: ignore[reportMissingImports]
    from triton.backends.compiler import GPUTarget  # pyright: ignore[reportMissingImports]

    if os.environ.get("TRITON_INTERPRET") == "1":
        pytest.skip("Triton interprets in this process")
    types = {parameter.name: _type(parameter, narrow, wide) for parameter in kernel.params} | types_of
    source = compiler.ASTSource(kernel, types, constexprs={name: SIZES[name] for name in types if name in SIZES})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Triton warns of its own defaults
        return compiler.compile(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": 1}).asm["ptx"]


def _type(parameter: Any, narrow: str, wide: str) -> str:
    name = parameter.name
    if name in SIZES:
        return "constexpr"
    if name in INTEGERS:
        return "i32"
    if name in ("inv_temperature", "gamma", "scale"):
        return parameter.annotation_type or "fp32"  # as Triton takes a number of Python's
    if name == "counter":
        return "*i32"
    return "*" + ("i64" if name in WORDS else "i1" if name == "mask" else narrow if name in NARROW else wide)
