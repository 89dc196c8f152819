"""Tests of the compiled loops, which need a compiler of the machine's own."""

from __future__ import annotations

import pytest

from tiedlm.native.build import compiler_unavailable

needs_a_compiler = pytest.mark.skipif(
    compiler_unavailable() is not None, reason=f"needs a C++ compiler: {compiler_unavailable()}"
)
"""Skips a test, or a parameter of one, where the loops cannot be built."""
