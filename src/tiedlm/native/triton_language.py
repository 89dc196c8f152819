"""Triton's language and its decorator, or what stands in for them where Triton is not installed.

Kernels can then be imported, but not run; `passes_triton.missing_triton` tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["float64", "jit", "tl"]

if TYPE_CHECKING:
    import triton  # pyright: ignore[reportMissingImports]
    import triton.language as tl  # pyright: ignore[reportMissingImports]

    jit = triton.jit
    float64 = float
    """Type of a kernel's option: without it Triton makes a number of Python's a float32."""
else:
    try:
        import triton.language as tl
        from triton import jit
        from triton.language import float64
    except ImportError:
        tl = float64 = None

        def jit(function: Any) -> Any:
            """Return the function as it is."""
            return function
