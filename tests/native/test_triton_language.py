"""Triton's language: kernels can be imported with and without it."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest

from tiedlm.native import triton_language


def fresh() -> ModuleType:
    """The module, imported once more under another name."""
    assert triton_language.__file__ is not None
    specification = importlib.util.spec_from_file_location("triton_language_again", triton_language.__file__)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_without_triton_kernels_stay_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.setitem(sys.modules, "triton.language", None)
    module = fresh()
    assert module.jit(fresh) is fresh
    assert module.tl is None


def test_with_triton_they_are_its_own() -> None:
    triton = pytest.importorskip("triton", reason="Triton is not installed")
    module = fresh()
    assert module.jit is triton.jit
    assert module.tl is triton.language
