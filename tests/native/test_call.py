"""What reaches a C++ loop: pointers, whole numbers, others, nothing."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest
import torch

from tiedlm.native import call


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a loop named `sum` was given."""
    found: list[Any] = []

    class Loops:
        @staticmethod
        def sum(*arguments: Any) -> None:
            found.extend(arguments)

    monkeypatch.setattr(call, "compiled_loops", Loops)
    return found


def test_each_kind_of_argument_is_passed_as_the_loops_read_it(passed: list[Any]) -> None:
    array = torch.arange(6.0).view(2, 3)
    call.run_loop("sum", array, array[1], None, 2**40, 0.5, True)
    kinds = [ctypes.c_void_p] * 3 + [ctypes.c_int64, ctypes.c_double, ctypes.c_int64]
    assert [type(one) for one in passed] == kinds
    assert [one.value for one in passed] == [array.data_ptr(), array.data_ptr() + 12, None, 2**40, 0.5, 1]


def test_a_loop_that_is_not_there_is_an_error(passed: list[Any]) -> None:
    with pytest.raises(AttributeError, match="product"):
        call.run_loop("product", 1)
    assert passed == []
