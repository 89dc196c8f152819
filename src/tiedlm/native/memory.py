"""Freed memory that stays with the process."""

from __future__ import annotations

import ctypes
import platform

SETTINGS = {-4: 0, -1: 2**31 - 1, -2: 64 * 2**20}
"""M_MMAP_MAX: no array comes from the system by itself; M_TRIM_THRESHOLD: nothing is given back; M_TOP_PAD: bytes that
are asked for at once (malloc.h)."""


def keep_freed_memory() -> bool:
    """Have the C library keep what is freed for what is asked for next, in this process from now on.

    A training frees large arrays in every step and asks for them again in the next. glibc gives them back to the system
    and gets pages of zeros for them, 4 KiB at a time: a quarter of a step with 33,278 words. The most memory that the
    process needs at once stays what it was.

    Returns:
        Whether it does so: only glibc can be told to (Linux); other libraries stay as they are.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    return all(library.mallopt(ctypes.c_int(name), ctypes.c_int(value)) == 1 for name, value in SETTINGS.items())
