from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from support.finished_run import EPOCHS, journal, make_run, recipe_config
from tiedlm.checkpoint import RunFolder
from tiedlm.cli.reproduce_trainings import trainings
from tiedlm.config import to_json
from tiedlm.errors import RunError
from tiedlm.paper.costs import Estimate
from tiedlm.paper.machines import Conditions
from tiedlm.paper.plan import Step

COST = Estimate(seconds=100.0, conditions=Conditions(machine="here", precision="float32", threads=1), of_size="small")
RE = "ptb-small-re"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIEDLM_RUNS_DIR", str(tmp_path))
    return tmp_path


def step(training: int, seed: int = 0) -> Step:
    return Step(recipe=RE, seed=seed, training=training, estimate=COST)


def begun(path: Path, epochs: int) -> RunFolder:
    """A run folder that has so many epochs and no scores."""
    folder = RunFolder.create(path, {"config": b"{}", "vocabulary": b"[]", "environment": b"{}"})
    for record in journal(epochs):
        folder.journal.append(record)
    folder.commit({}, folder.journal)
    return folder


def test_a_training_that_is_not_begun(runs: Path) -> None:
    [one] = trainings([step(1, seed=3)])
    assert one.config == recipe_config(seed=3, threads=None)
    assert (one.run_dir, one.start_from, one.done, one.seconds) == (runs / f"{RE}-seed-3", None, 0.0, 100.0)
    assert shlex.split(one.command()) == ["tiedlm", "train", RE, "--seed", "3", "--run-dir", str(one.run_dir)]


def test_a_second_training_follows_its_first(runs: Path) -> None:
    first, second = trainings([step(1), step(2)])
    assert (first.start_from, second.start_from) == (None, first.run_dir)
    assert second.run_dir == runs / f"{RE}-seed-0-second"
    assert shlex.split(second.command())[-2:] == ["--from", str(first.run_dir)]


def test_a_first_training_whose_weights_are_not_here_comes_before(runs: Path) -> None:
    assert [one.run_dir.name for one in trainings([step(2)])] == [f"{RE}-seed-0", f"{RE}-seed-0-second"]
    make_run(runs / f"{RE}-seed-0", config=to_json(recipe_config()))
    assert [one.run_dir.name for one in trainings([step(2)])] == [f"{RE}-seed-0-second"]


def test_one_that_was_cut_goes_on_and_costs_what_is_left(runs: Path) -> None:
    folder = begun(runs / f"{RE}-seed-0", EPOCHS // 4)
    [one] = trainings([step(1)])
    assert (one.done, one.seconds) == (0.25, 75.0)
    assert shlex.split(one.command()) == ["tiedlm", "train", "--resume", str(folder.path)]


def test_one_without_scores_is_not_finished(runs: Path) -> None:
    begun(runs / f"{RE}-seed-0", EPOCHS)
    [one] = trainings([step(1)])
    assert 0.99 < one.done < 1


def test_one_that_is_finished_is_to_be_published(runs: Path) -> None:
    make_run(runs / f"{RE}-seed-0", config=to_json(recipe_config()))
    [one] = trainings([step(1)])
    assert (one.done, one.seconds) == (1.0, 0.0)
    assert shlex.split(one.command()) == ["tiedlm", "publish", str(one.run_dir)]


def test_unknown_costs_stay_unknown(runs: Path) -> None:
    [one] = trainings([Step(recipe=RE, seed=0, training=1, estimate=None)])
    assert one.seconds is None


def test_something_else_in_the_place_of_a_run_is_an_error(runs: Path) -> None:
    (runs / f"{RE}-seed-0").mkdir()
    with pytest.raises(RunError):
        trainings([step(1)])
