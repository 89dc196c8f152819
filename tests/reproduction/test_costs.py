from __future__ import annotations

from pathlib import Path

import pytest

from support.published_results import add_result
from tiedlm.recipes.catalogue import recipe
from tiedlm.reproduction.collect import collect
from tiedlm.reproduction.costs import estimate, work_a_word

HERE = "a processor"
HOUR = 40 * 90.0
"""Seconds of an invented training of a small network: its epochs at the seconds of each."""


def seconds(results: Path, name: str, here: str = HERE) -> float:
    found = estimate(name, collect(results), here)
    assert found is not None
    return found.seconds


def test_without_a_training_of_the_size_there_is_no_estimate(tmp_path: Path) -> None:
    add_result(tmp_path, "ptb-small-vd", 0, 88.0)
    assert estimate("ptb-medium-vd", collect(tmp_path), HERE) is None
    assert estimate("ptb-small-re", collect(tmp_path), HERE) is not None


def test_a_recipe_costs_what_it_cost(tmp_path: Path) -> None:
    add_result(tmp_path, "ptb-small-vd", 0, 88.0)
    assert seconds(tmp_path, "ptb-small-vd") == pytest.approx(HOUR)
    assert seconds(tmp_path, "ptb-small-re") == pytest.approx(HOUR)


def test_other_losses_vocabularies_and_texts_are_scaled_by_their_work(tmp_path: Path) -> None:
    """By hand, in millions of operations a word: 12 for the softmax layer and 3.84 for two LSTM layers."""
    add_result(tmp_path, "ptb-small-vd", 0, 88.0)
    assert seconds(tmp_path, "ptb-small-al") == pytest.approx(HOUR * (12 * 1.52 + 3.84) / (12 + 3.84))
    larger = (12 * 3.3278 + 3.84) / (12 + 3.84) * 2_088_628 / 929_589
    assert seconds(tmp_path, "wikitext2-small-re") == pytest.approx(HOUR * larger)
    half = seconds(tmp_path, "wikitext2-half1-small-re") + seconds(tmp_path, "wikitext2-half2-small-re")
    assert half == pytest.approx(HOUR * larger)


def test_work_of_a_stopped_gradient_lies_between() -> None:
    real = recipe("ptb-small-real")
    assert work_a_word(real) == pytest.approx(12e6 * 1.52 + 3.84e6)
    assert work_a_word(recipe("demo-vd")) == 1.0


def test_the_middle_of_several_trainings_is_taken_and_of_both_stages(tmp_path: Path) -> None:
    for seed, epoch in enumerate((80.0, 90.0, 400.0)):
        add_result(tmp_path, "ptb-small-vd", seed, 88.0, seconds=epoch)
    assert seconds(tmp_path, "ptb-small-vd") == pytest.approx(40 * 90.0)
    add_result(tmp_path, "ptb-small-re", 0, 87.0, 85.0, seconds=70.0)
    assert seconds(tmp_path, "ptb-small-vd") == pytest.approx(40 * 80.0)


def test_this_machine_comes_first_then_the_one_with_most_records(tmp_path: Path) -> None:
    add_result(tmp_path, "ptb-small-vd", 0, 88.0, seconds=10.0, processor="slow")
    add_result(tmp_path, "ptb-small-vd", 1, 88.0, seconds=20.0, processor="quick")
    add_result(tmp_path, "ptb-small-vd", 2, 88.0, seconds=20.0, processor="quick")
    rows = collect(tmp_path)
    assert [estimate("ptb-small-vd", rows, here) for here in ("slow", "unknown")] == [
        estimate("ptb-small-vd", rows, "slow"),
        estimate("ptb-small-vd", rows, "quick"),
    ]
    found = estimate("ptb-small-vd", rows, "slow")
    assert found is not None
    assert (found.machine, found.seconds) == ("slow", pytest.approx(400.0))
