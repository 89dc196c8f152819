"""Whether kernels in Triton's language run where the numbers are."""

from __future__ import annotations

from tiedlm.native.triton_language import jit


@jit
def _any(numbers):
    """A kernel, to see what Triton makes of one."""


def missing_triton(device: str) -> str | None:
    """Return why kernels cannot run on a device of this type, in words, or None if they can.

    On a CPU they can where Triton interprets them (TRITON_INTERPRET=1 before it is imported), slowly and for checks.
    """
    try:
        from triton.runtime import JITFunction  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        return f"Triton cannot be imported: {error}"
    if device != "cuda" and isinstance(_any, JITFunction):
        return f"Triton's kernels run on a GPU, and the tensors are on {device}"
    return None


def interpreted() -> bool:
    """Return whether Triton, which is there, interprets kernels: their programs then run one after the other."""
    from triton.runtime import JITFunction  # pyright: ignore[reportMissingImports]

    return not isinstance(_any, JITFunction)


def power_of_two(count: int) -> int:
    """Return the smallest power of two that is not below `count`, the sizes that a kernel's blocks have."""
    return 1 << (count - 1).bit_length()
