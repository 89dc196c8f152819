from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.published_results import add_result
from tiedlm.paper.collect import collect
from tiedlm.paper.costs import Estimate, begun, estimate
from tiedlm.paper.machines import Conditions
from tiedlm.recipes import recipe

HERE = "a processor"
HOUR = 40 * 90.0
"""Seconds of an invented training of a small network: its epochs at the seconds of each."""


def seconds(results: Path, name: str) -> float:
    found = estimate(name, collect(results), begun(HERE))
    assert found is not None
    return found.seconds


def size_for(results: Path, name: str) -> str | None:
    found = estimate(name, collect(results), begun(HERE))
    return found and found.of_size


def record(results: Path, seed: int, epoch: float, machine: str = HERE, **runtime: Any) -> None:
    """Add a training whose epochs took so many seconds."""
    config = recipe("ptb-small-vd")
    config = replace(config, runtime=replace(config.runtime, **runtime))
    add_result(results, "ptb-small-vd", seed, 88.0, seconds=epoch, processor=machine, config=config)


def test_without_any_training_there_is_no_estimate(tmp_path: Path) -> None:
    assert estimate("ptb-medium-vd", collect(tmp_path), begun(HERE)) is None


def test_without_a_training_of_the_size_another_size_stands_for_it_by_its_work(tmp_path: Path) -> None:
    add_result(tmp_path, "ptb-small-vd", 0, 88.0)
    medium, epochs = recipe("ptb-medium-vd"), recipe("ptb-medium-vd").training.epochs
    of_work = (39 + 48 * 2 * 0.65**2) / (12 + 3.84)  # in millions of operations a word
    assert seconds(tmp_path, "ptb-medium-vd") == pytest.approx(epochs * 90.0 * of_work)
    assert medium.model.width == 650  # pyright: ignore[reportAttributeAccessIssue]


def test_the_size_that_is_told_is_the_recorded_one_and_the_nearest(tmp_path: Path) -> None:
    """Of the own size is best, on whichever machine; else the same conditions, and then the nearer size."""
    add_result(tmp_path, "ptb-small-vd", 0, 88.0, processor=HERE)
    assert size_for(tmp_path, "ptb-small-re") == "small"
    assert size_for(tmp_path, "ptb-large-vd") == "small"
    add_result(tmp_path, "ptb-medium-vd", 0, 80.0, processor="elsewhere")
    assert size_for(tmp_path, "ptb-large-vd") == "small"
    add_result(tmp_path, "ptb-medium-vd", 1, 80.0, processor=HERE)
    assert size_for(tmp_path, "ptb-large-vd") == "medium"
    assert size_for(tmp_path, "ptb-small-re") == "small"
    add_result(tmp_path, "ptb-large-vd", 0, 75.0, processor="elsewhere")
    assert size_for(tmp_path, "ptb-large-re") == "large"


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


def test_the_middle_of_several_trainings_is_taken_and_of_both_stages(tmp_path: Path) -> None:
    for seed, epoch in enumerate((80.0, 90.0, 400.0)):
        add_result(tmp_path, "ptb-small-vd", seed, 88.0, seconds=epoch)
    assert seconds(tmp_path, "ptb-small-vd") == pytest.approx(40 * 90.0)
    add_result(tmp_path, "ptb-small-re", 0, 87.0, 85.0, seconds=70.0)
    assert seconds(tmp_path, "ptb-small-vd") == pytest.approx(40 * 80.0)


def test_only_trainings_in_the_precision_and_on_the_threads_that_are_asked_for_count(tmp_path: Path) -> None:
    record(tmp_path, 0, 90.0)
    record(tmp_path, 1, 50.0, precision="bfloat16")
    record(tmp_path, 2, 60.0, threads=2)
    rows = collect(tmp_path)
    for precision, threads, epoch in (("float32", 1, 90.0), ("bfloat16", 1, 50.0), ("float32", 2, 60.0)):
        asked = Conditions(machine=HERE, precision=precision, threads=threads)
        assert estimate("ptb-small-vd", rows, asked) == Estimate(seconds=40 * epoch, conditions=asked, of_size="small")


def test_without_such_a_training_the_nearest_is_taken_and_named(tmp_path: Path) -> None:
    """The machine counts first, then precision, then threads, then how many were recorded."""
    nearer = [("elsewhere", "bfloat16", 2), ("elsewhere", "float32", 2), (HERE, "bfloat16", 2), (HERE, "bfloat16", 1)]
    record(tmp_path, 8, 10.0, "quick", precision="bfloat16", threads=2)
    record(tmp_path, 9, 10.0, "quick", precision="bfloat16", threads=2)
    for seed, (machine, precision, threads) in enumerate(nearer):
        record(tmp_path, seed, 10.0, machine, precision=precision, threads=threads)
        found = estimate("ptb-small-vd", collect(tmp_path), begun(HERE))
        assert found is not None
        expected = ("quick", "bfloat16", 2) if seed == 0 else (machine, precision, threads)
        assert (found.conditions.machine, found.conditions.precision, found.conditions.threads) == expected


def test_trainings_begin_in_the_recipes_precision_where_none_is_given() -> None:
    assert begun(HERE) == Conditions(machine=HERE, precision=recipe("ptb-small-vd").runtime.precision, threads=1)
    assert begun(HERE, "bfloat16") == Conditions(machine=HERE, precision="bfloat16", threads=1)
