from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from support.published_results import add_result
from tiedlm.errors import ArgumentError
from tiedlm.paper.collect import collect
from tiedlm.paper.plan import SEEDS, TARGETS, Step, missing, select
from tiedlm.paper.published import PUBLISHED
from tiedlm.recipes import recipe

HERE = "a processor"


def steps(results: Path, *names: str, seeds: tuple[int, ...] = SEEDS) -> list[Step]:
    return missing(names, collect(results), HERE, seeds)


def short(found: list[Step]) -> list[tuple[str, int, int]]:
    return [(step.recipe, step.seed, step.training) for step in found]


def test_targets_are_the_rows_that_they_are_made_of() -> None:
    assert [len(TARGETS[f"table{number}"]) for number in (1, 2, 3, 4)] == [20, 8, 4, 2]
    assert TARGETS["table3"] == ("ptb-rhn-vd", "ptb-large-real", "ptb-rhn-re", "ptb-rhn-real")
    assert len(TARGETS["figure2"]) == 12
    assert TARGETS["beside"] == ("ptb-small-re-bias", "ptb-small-real-bias")
    assert {name for names in TARGETS.values() for name in names} == set(PUBLISHED)


def test_rows_are_selected_by_target_and_by_part_of_their_names() -> None:
    assert select(()) == list(PUBLISHED)
    assert select(("table2", "ptb-small-vd"))[0] == "ptb-small-vd"
    assert len(select(("table2", "ptb-small-vd"))) == 9
    assert select(("table1",), ("small", "real")) == ["ptb-small-real", "wikitext2-small-real"]
    assert select((), ("rhn",)) == ["ptb-rhn-vd", "ptb-rhn-re", "ptb-rhn-real"]


@pytest.mark.parametrize(
    ("targets", "only", "message"),
    [
        (("table5",), (), r"no table, figure or row 'table5'\. Did you mean"),
        (("figure1",), (), r"figure1 is made of runs of its own"),
        (("figur1",), (), r"no table, figure or row 'figur1'\. Did you mean 'figure1'"),
        (("ptb-small-rael",), (), r"Did you mean 'ptb-small-real'"),
        ((), ("smal",), r"No row has 'smal' in its name\. Did you mean 'small'"),
        (("table2",), ("medium",), r"No row of table2 has medium in its name"),
    ],
)
def test_what_there_is_not_is_an_error(targets: tuple[str, ...], only: tuple[str, ...], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        select(targets, only)


def test_every_seed_and_training_of_the_papers_is_wanted(tmp_path: Path) -> None:
    assert short(steps(tmp_path, "ptb-small-vd")) == [("ptb-small-vd", seed, 1) for seed in (0, 1, 2)]
    assert short(steps(tmp_path, "ptb-small-re", seeds=(4,))) == [("ptb-small-re", 4, 1), ("ptb-small-re", 4, 2)]


def test_what_is_there_is_not_missing(tmp_path: Path) -> None:
    add_result(tmp_path, "ptb-small-re", 0, 87.0, 85.0)
    add_result(tmp_path, "ptb-small-re", 1, 87.0)
    add_result(tmp_path, "ptb-small-re", 9, 87.0)
    assert short(steps(tmp_path, "ptb-small-re")) == [
        ("ptb-small-re", 1, 2),
        ("ptb-small-re", 2, 1),
        ("ptb-small-re", 2, 2),
    ]


def test_the_cheapest_come_first(tmp_path: Path) -> None:
    add_result(tmp_path, "ptb-small-vd", 0, 88.0)
    found = steps(tmp_path, "ptb-large-re", "wikitext2-small-vd", "ptb-small-real", "ptb-small-vd", seeds=(0, 1))
    assert short(found) == [
        ("ptb-small-vd", 1, 1),
        ("ptb-small-real", 0, 1),
        ("ptb-small-real", 0, 2),
        ("ptb-small-real", 1, 1),
        ("ptb-small-real", 1, 2),
        ("wikitext2-small-vd", 0, 1),
        ("wikitext2-small-vd", 1, 1),
        ("ptb-large-re", 0, 1),
        ("ptb-large-re", 1, 1),
    ]
    costs = [step.estimate.seconds for step in found if step.estimate is not None]
    assert len(costs) == len(found)
    assert costs == sorted(costs)


def test_where_no_cost_is_known_the_order_is_that_of_the_paper(tmp_path: Path) -> None:
    found = steps(tmp_path, "ptb-large-re", "wikitext2-small-vd", "ptb-small-vd", seeds=(0,))
    assert [step.estimate for step in found] == [None] * 3
    assert [step.recipe for step in found] == ["ptb-large-re", "wikitext2-small-vd", "ptb-small-vd"]


def test_costs_are_those_of_the_precision_that_is_asked_for(tmp_path: Path) -> None:
    config = recipe("ptb-small-vd")
    add_result(tmp_path, "ptb-small-vd", 0, 88.0)
    bfloat16 = replace(config, runtime=replace(config.runtime, precision="bfloat16"))
    add_result(tmp_path, "ptb-small-vd", 1, 88.0, seconds=45.0, config=bfloat16)
    found = [missing(["ptb-small-vd"], collect(tmp_path), HERE, precision=one) for one in (None, "bfloat16")]
    assert [step.estimate.seconds for [step] in found if step.estimate] == pytest.approx([3600.0, 1800.0])
