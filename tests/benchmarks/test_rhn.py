"""The two forms that are compared do the same work on the same inputs."""

from __future__ import annotations

import pytest

from support.scripts import benchmark

rhn = benchmark("rhn")


def test_both_forms_come_to_the_same() -> None:
    [(inputs, arriving)] = rhn.windows(1, 6)
    assert inputs.shape == arriving.shape == (35, 20, 6)
    loop, batched = (rhn.Pass(name, 6, 3).make()(inputs, arriving) for name in ("loop", "batched"))
    assert loop == pytest.approx(batched, rel=1e-4)
    assert loop != 0


def test_a_row_tells_everything() -> None:
    first, second = rhn.rows(rhn.parsed(["--rounds", "1", "--units", "5", "--depth", "2"]))
    assert (first["form"], second["form"]) == ("loop", "batched")
    assert first["ratio_to_loop"] == "1.000"
    assert (second["units"], second["depth"], second["steps"], second["streams"], second["rounds"]) == (5, 2, 35, 20, 1)
    assert {"date", "commit", "device", "processor", "threads", "torch"} <= set(first)


def test_the_sizes_are_those_of_the_recipe() -> None:
    options = rhn.parsed([])
    assert (options.units, options.depth) == (830, 10)
