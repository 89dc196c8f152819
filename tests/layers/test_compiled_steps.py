"""Whether steps are compiled, and why not."""

from __future__ import annotations

import pytest
import torch

from tiedlm.errors import ArgumentError
from tiedlm.layers import compiled_steps


@pytest.mark.parametrize(
    ("units", "missing", "said"),
    [
        (100, None, None),
        (99, None, "fewer than 100 units"),
        (100, "no g++", "no g++"),
        (99, "no g++", "fewer than 100"),
    ],
)
def test_narrow_layers_and_machines_without_a_compiler_are_told(
    units: int, missing: str | None, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_steps, "compiler_unavailable", lambda: missing)
    found = compiled_steps.why_not(units)
    assert found is None if said is None else said in str(found)


def test_a_narrow_layer_asks_for_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError("a compiler was looked for")

    monkeypatch.setattr(compiled_steps, "compiler_unavailable", refuse)
    assert compiled_steps.why_not(5) is not None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64])
def test_other_types_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(ArgumentError, match=f"{dtype}, but compiled steps take torch.float32 or torch.float64.*use it"):
        compiled_steps.check_type(dtype, instead="it")
