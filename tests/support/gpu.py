"""What needs a GPU, Triton or a C++ compiler is skipped without; and what takes a GPU's place."""

import importlib.util
import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tiedlm.native.build import compiler_unavailable
from tiedlm.native.cuda_graph import Captured, Function

needs_a_compiler = pytest.mark.skipif(
    compiler_unavailable() is not None, reason=f"needs a C++ compiler: {compiler_unavailable()}"
)
"""Skips a test, or a parameter of one, where the loops cannot be built."""
NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
GPU = pytest.param("cuda", marks=NEEDS_GPU)
"""The device as one of a test's parameters."""
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


def rerun(function: Function, places: Sequence[Tensor]) -> Captured:
    """Return what runs the function again, and the results that it overwrites."""
    results = function(*places)

    def run() -> None:
        for result, value in zip(results, function(*places), strict=True):
            result.detach().copy_(value.detach())

    return run, results


aten = torch.ops.aten
READING = {
    aten._local_scalar_dense,
    aten.equal,
    aten.is_nonzero,
    aten.nonzero,
    aten.masked_select,
    aten._unique2,
    aten.unique_consecutive,
    aten.unique_dim,
    aten.bincount,
}
"""Operations whose result, or its shape, the CPU must know."""


class NoReading(TorchDispatchMode):
    """Within, an operation that waits for a tensor's entries raises RuntimeError."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Refuse what reads, and run the rest."""
        by_truth = func.overloadpacket is aten.index and any(
            one is not None and one.dtype == torch.bool for one in args[1]
        )
        if func.overloadpacket in READING or by_truth:
            raise RuntimeError(f"{func} reads entries of a tensor")
        return func(*args, **(kwargs or {}))


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
