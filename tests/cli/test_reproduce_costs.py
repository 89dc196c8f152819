"""What is told of costs, by the steps and the conditions of what was recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiedlm.cli.reproduce_costs import cost, what_costs_are
from tiedlm.paper.plan import Estimate, Missing
from tiedlm.paper.results import Conditions

HERE = Conditions(machine="here", precision="float32", threads=1)


@pytest.fixture(autouse=True)
def no_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIEDLM_RUNS_DIR", str(tmp_path))


def steps(estimate: Estimate | None, name: str = "ptb-small-vd", seeds: int = 2) -> list[Missing]:
    return [Missing(recipe=name, seed=seed, training=1, estimate=estimate) for seed in range(seeds)]


def test_nothing_missing_costs_nothing_and_what_is_not_known_is_told() -> None:
    assert cost([], HERE) == "-"
    assert cost(steps(None), HERE) == "unknown"


def test_the_trainings_are_summed_and_what_is_alike_is_not_named() -> None:
    assert cost(steps(Estimate(seconds=1800.0, conditions=HERE, of_size="small")), HERE) == "1h00m"


def test_what_was_otherwise_is_named_the_size_first() -> None:
    elsewhere = Conditions(machine="elsewhere", precision="bfloat16", threads=2)
    found = Estimate(seconds=1800.0, conditions=elsewhere, of_size="small")
    assert cost(steps(found), HERE) == "1h00m (bfloat16, 2 threads, elsewhere)"
    assert cost(steps(found, "ptb-large-vd"), HERE) == "1h00m (small network, bfloat16, 2 threads, elsewhere)"
    own = Estimate(seconds=1800.0, conditions=HERE, of_size="large")
    assert cost(steps(own, "ptb-large-vd"), HERE) == "1h00m"


def test_the_words_below_say_for_which_trainings_costs_hold() -> None:
    told = what_costs_are(HERE)
    assert "of one process in float32 on 1 thread of here" in told
    assert told.endswith("\n")
