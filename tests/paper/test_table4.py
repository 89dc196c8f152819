"""REAL beside VD-LSTM: which runs are paired, and what is made of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.invented_analysis import CHANCES
from support.published_results import add_result, reseal
from tiedlm.errors import RunError
from tiedlm.evaluation.measures import everywhere
from tiedlm.paper.collect import collect
from tiedlm.paper.measured import NEAR
from tiedlm.paper.table4 import Pair, pairs

LESS = CHANCES | {"the": 0.03, NEAR: 0.05}


def small(results: Path) -> dict[tuple[int, int], Pair]:
    """Trainings → the small pair on Penn Treebank."""
    return {pair.trainings: pair for pair in pairs(collect(results)) if pair.group == "ptb-small"}


def test_every_size_and_corpus_of_the_paper_has_a_pair(tmp_path):
    found = pairs(collect(tmp_path))
    sizes = ["ptb-small", "ptb-medium", "ptb-large"]
    assert [pair.group for pair in found][:3] == sizes
    assert len(found) == 8
    assert not any(pair.run or pair.seeds or pair.measures for pair in found)


def test_probabilities_are_divided_seed_by_seed_and_over_all(tmp_path):
    for seed, chances in enumerate([LESS, LESS | {"the": 0.06}]):
        add_result(tmp_path, "ptb-small-vd", seed, 88.0, chances=CHANCES)
        add_result(tmp_path, "ptb-small-real", seed, 87.0, 85.0, chances=chances)
    add_result(tmp_path, "ptb-small-vd", 7, 88.0, chances=CHANCES)
    found = small(tmp_path)
    assert set(found) == {(1, 1), (1, 2)}
    pair = found[1, 2]
    assert (pair.run, pair.seeds) == (True, (0, 1))
    for name, share in ((everywhere("the"), 1.0), ("the", 0.9)):
        the = pair.measures[name]
        assert (the.vd, the.real) == pytest.approx((0.06 * share, 0.045 * share), rel=1e-3)
        assert (the.ratio.low, the.ratio.value, the.ratio.high) == pytest.approx((0.75, 0.75, 0.75))
        assert the.by_seed == pytest.approx({0: 0.5, 1: 1.0})
    assert pair.measures[NEAR].ratio.value == pytest.approx(1.25)


def test_results_without_an_analysis_are_run_but_not_measured(tmp_path):
    add_result(tmp_path, "ptb-small-vd", 0, 88.0, chances=CHANCES)
    assert not small(tmp_path)[1, 2].run
    add_result(tmp_path, "ptb-small-real", 0, 87.0, 85.0)
    pair = small(tmp_path)[1, 2]
    assert (pair.run, pair.seeds, pair.measures) == (True, (), {})


def test_seeds_that_only_one_has_are_left_out(tmp_path):
    add_result(tmp_path, "ptb-small-vd", 0, 88.0, chances=CHANCES)
    add_result(tmp_path, "ptb-small-real", 1, 87.0, 85.0, chances=LESS)
    assert (small(tmp_path)[1, 2].run, small(tmp_path)[1, 2].seeds) == (True, ())


def test_a_word_that_a_vocabulary_lacks_is_not_compared(tmp_path):
    without = {name: chance for name, chance in CHANCES.items() if name != "an"}
    for name in ("ptb-medium-vd", "ptb-medium-real"):
        add_result(tmp_path, name, 0, 80.0, chances=without)
    (pair,) = (pair for pair in pairs(collect(tmp_path)) if pair.group == "ptb-medium")
    assert everywhere("a") in pair.measures
    assert not {"an", everywhere("an")} & pair.measures.keys()


def test_blocks_of_another_text_do_not_compare(tmp_path):
    add_result(tmp_path, "ptb-small-vd", 0, 88.0, chances=CHANCES)
    folder = add_result(tmp_path, "ptb-small-real", 0, 87.0, chances=LESS)
    told = json.loads((folder / "analysis.json").read_text())
    for each in told["blocks"].values():
        each["counts"][0] -= 1
        each["counts"][1] += 1
    (folder / "analysis.json").write_text(json.dumps(told))
    reseal(folder)
    with pytest.raises(RunError, match=r"do not compare: '<unk>, everywhere' was measured over different words"):
        pairs(collect(tmp_path))
