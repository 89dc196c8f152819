from __future__ import annotations

from pathlib import Path

import pytest

from support.published_results import add_group
from support.small_group import SMALL
from tiedlm.paper.collect import collect
from tiedlm.paper.ordering import Ordering, headline, orderings
from tiedlm.paper.published import PUBLISHED


def ordering(results: Path, group: str = "ptb-small") -> Ordering:
    return next(one for one in orderings(collect(results)) if one.group == group)


def test_there_is_one_for_each_size_with_four_models(tmp_path: Path) -> None:
    groups = [one.group for one in orderings(collect(tmp_path))]
    assert groups == list(
        dict.fromkeys(name.rsplit("-", 1)[0] for name, row in PUBLISHED.items() if row.test and "rhn" not in name)
    )
    assert len(groups) == 7


def test_the_papers_order_is_by_its_test_perplexity(tmp_path: Path) -> None:
    small, medium = (ordering(tmp_path, group) for group in ("ptb-small", "ptb-medium"))
    assert [row.name.rsplit("-", 1)[1] for row in small.rows] == ["real", "al", "re", "vd"]
    assert [row.name.rsplit("-", 1)[1] for row in medium.rows] == ["real", "re", "al", "vd"]
    assert [pair.paper for pair in small.pairs] == pytest.approx([0.2, 2.2, 2.2])


def test_nothing_run_is_nothing_known(tmp_path: Path) -> None:
    found = ordering(tmp_path)
    assert (found.holds(), found.means()) == (None, {})
    assert [(pair.ours, pair.holds()) for pair in found.pairs] == [(None, None)] * 3


def test_figures_after_as_many_trainings_as_the_papers_are_compared(tmp_path: Path) -> None:
    """After one training the order would be another one: RE best, VD second."""
    add_group(tmp_path, "ptb-small", SMALL)
    found = ordering(tmp_path)
    assert list(found.means()) == ["real", "al", "re", "vd"]
    assert found.holds() is True
    sample = headline(found.rows[0])
    assert sample is not None
    assert sample.by_seed == pytest.approx({0: 82.0, 1: 82.6})


def test_pairs_are_of_the_seeds_that_both_have(tmp_path: Path) -> None:
    add_group(tmp_path, "ptb-small", SMALL)
    first, second, _ = ordering(tmp_path).pairs
    assert first.ours is not None
    assert second.ours is not None
    assert (first.ours.n, first.ours.p) == (2, None)
    assert first.ours.mean == pytest.approx((1.0 + 0.5) / 2)
    assert second.ours.n == 3
    assert second.ours.mean == pytest.approx((2.0 + 2.3 + 1.8) / 3)
    assert second.ours.p is not None
    assert second.ours.p < 0.01


def test_another_order_does_not_hold(tmp_path: Path) -> None:
    add_group(tmp_path, "ptb-small", SMALL | {"al": [(90.0, 86.0)]})
    found = ordering(tmp_path)
    assert found.holds() is False
    assert [pair.holds() for pair in found.pairs] == [True, False, True]


def test_a_model_that_was_not_run_leaves_the_order_open(tmp_path: Path) -> None:
    add_group(tmp_path, "ptb-small", {name: seeds for name, seeds in SMALL.items() if name != "al"})
    found = ordering(tmp_path)
    assert found.holds() is None
    assert [pair.holds() for pair in found.pairs] == [None, None, True]


def test_first_trainings_alone_do_not_count_for_second_ones(tmp_path: Path) -> None:
    add_group(tmp_path, "ptb-small", {"re": [(84.0,)], "vd": [(88.0,)]})
    assert list(ordering(tmp_path).means()) == ["vd"]
