from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.published_results import add_result, move_to
from tiedlm.errors import RunError
from tiedlm.paper.collect import collect
from tiedlm.paper.machines import Conditions, epoch_seconds, machine_of
from tiedlm.recipes import recipe

NAME = "ptb-small-vd"
EPOCHS = recipe(NAME).training.epochs


def spent(results: Path, *moves: dict[str, Any]) -> dict[Conditions, list[float]]:
    add_result(results, NAME, 0, 88.0, seconds=2.0, moves=moves)
    return epoch_seconds(collect(results)[NAME].results[0])


def on(machine: str, precision: str = "float32", threads: int = 1) -> Conditions:
    return Conditions(machine=machine, precision=precision, threads=threads)


def test_without_a_move_all_epochs_are_of_the_machine_of_the_beginning(tmp_path: Path) -> None:
    assert spent(tmp_path) == {on("a processor"): [2.0] * EPOCHS}


def test_an_epoch_counts_where_it_ended(tmp_path: Path) -> None:
    found = spent(tmp_path, move_to("there", 4, threads=2), move_to("there", 6, precision="bfloat16", threads=2))
    assert {one: len(seconds) for one, seconds in found.items()} == {
        on("a processor"): 3,
        on("there", threads=2): 2,
        on("there", "bfloat16", 2): EPOCHS - 5,
    }


def test_two_moves_in_one_epoch_leave_nothing_to_the_first(tmp_path: Path) -> None:
    found = spent(tmp_path, move_to("there", 4), move_to("elsewhere", 4))
    assert [one.machine for one in found] == ["a processor", "elsewhere"]


def test_an_accelerator_is_told_by_its_own_name() -> None:
    assert machine_of({"processor": "a processor", "device": "cpu"}) == "a processor"
    assert machine_of({"processor": "a processor", "device": "an accelerator"}) == "an accelerator"


def test_a_move_that_tells_too_little_is_refused(tmp_path: Path) -> None:
    add_result(tmp_path, NAME, 0, 88.0, moves=[move_to("there", 4) | {"epoch": "four"}])
    with pytest.raises(RunError, match=r"environment.json: epoch should be a whole number, but is 'four'"):
        collect(tmp_path)
