"""Tests of the compiled loops, which need a compiler of the machine's own."""

from __future__ import annotations

import pytest

from tiedlm.native.compiler import missing_compiler

needs_a_compiler = pytest.mark.skipif(
    missing_compiler() is not None, reason=f"needs a C++ compiler: {missing_compiler()}"
)
"""Skips a test, or a parameter of one, where the loops cannot be built."""
