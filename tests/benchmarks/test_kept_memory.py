"""Both kinds take the same steps, in processes of their own, and are set against each other round by round."""

from __future__ import annotations

import pytest

from support.scripts import benchmark

kept = benchmark("kept_memory")


def test_memory_is_kept_only_where_it_is_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    monkeypatch.setattr(kept, "keep_freed_memory", lambda: called.append(True))
    monkeypatch.setattr(kept, "RECIPES", {"ptb-small-vd": 50})
    monkeypatch.setattr(kept, "STEPS", 2)
    monkeypatch.setattr(kept, "WARM_UP", 1)
    for number, kind in enumerate(kept.KINDS):
        found = kept.steps("ptb-small-vd", kind)
        assert len(called) == number
        assert found["seconds"] > 0
        assert found["pages"] >= 0
        assert found["peak_mib"] > 50


def test_a_ratio_is_that_within_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([1.0, 0.5, 2.0, 1.2, 8.0, 0.8])
    monkeypatch.setattr(kept, "printed_by", lambda *_: {"seconds": next(seconds), "pages": 3.0, "peak_mib": 100.0})
    back, stays = kept.rows(kept.parsed(["--rounds", "3"]), ["ptb-small-vd"])
    assert back["ratio_to_given_back"] == "1.000"
    assert stays["ratio_to_given_back"] == "0.500"
    assert (stays["median_seconds"], stays["pages_a_step"], stays["rounds"]) == ("0.80000", "3", 3)
    assert tuple(back) == kept.COLUMNS
    assert "kept" in kept.line(stays)


def test_a_row_is_there_before_the_next_recipe_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    told = iter(2 * [{"seconds": 1.0, "pages": 3.0, "peak_mib": 100.0}])
    monkeypatch.setattr(kept, "printed_by", lambda *_: next(told))
    found = kept.rows(kept.parsed(["--rounds", "1"]), ["ptb-small-vd", "not measured yet"])
    assert next(found)["recipe"] == "ptb-small-vd"
