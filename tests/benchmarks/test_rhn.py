"""The two forms that are compared do the same work on the same inputs."""

from __future__ import annotations

import pytest

from support.native_code import needs_a_compiler
from support.scripts import benchmark

rhn = benchmark("rhn")


@needs_a_compiler
def test_both_forms_come_to_the_same() -> None:
    [(inputs, arriving)] = rhn.windows(1, 6)
    assert inputs.shape == arriving.shape == (35, 20, 6)
    loop, *others = (rhn.Pass(name, 6, 3).make()(inputs, arriving) for name in rhn.FORMS)
    assert others == pytest.approx(2 * [loop], rel=1e-4)
    assert loop != 0


@needs_a_compiler
def test_a_row_tells_everything() -> None:
    first, second, third = rhn.rows(rhn.parsed(["--rounds", "1", "--units", "5", "--depth", "2"]))
    assert [row["form"] for row in (first, second, third)] == ["loop", "batched", "compiled"]
    assert first["ratio_to_loop"] == "1.000"
    assert (second["units"], second["depth"], second["steps"], second["streams"], second["rounds"]) == (5, 2, 35, 20, 1)
    assert tuple(first) == rhn.COLUMNS
    assert rhn.line(first).startswith("loop ")


def test_what_needs_a_compiler_is_left_out_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rhn, "compiler_unavailable", lambda: "no C++ compiler found")
    rows = rhn.rows(rhn.parsed(["--rounds", "1", "--units", "5", "--depth", "2"]))
    assert [row["form"] for row in rows] == ["loop", "batched"]
    assert rhn.lacking("compiled") == "no C++ compiler found"


def test_the_sizes_are_those_of_the_recipe() -> None:
    options = rhn.parsed([])
    assert (options.units, options.depth) == (830, 10)
