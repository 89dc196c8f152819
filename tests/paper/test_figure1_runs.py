from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace

import pytest

from support.small_text import write_texts
from support.tiny_run import Silence
from tiedlm.data.corpus import prepare
from tiedlm.errors import ArgumentError, RunError
from tiedlm.paper import figure1_points, figure1_runs
from tiedlm.paper.figure1_runs import Left, measure_figure1
from tiedlm.paper.figure1_watch import OutOfTimeError
from tiedlm.paper.theory_schedule import APART, TOGETHER
from tiedlm.paper.theory_setting import TheoryConfig

TINY = TheoryConfig(
    temperature=1.0,
    beta=1.0,
    text_words=200,
    units=3,
    layers=1,
    apart=replace(APART, epochs=1),
    together=replace(TOGETHER, epochs=0),
    streams=4,
    classifier_range=0.1,
)
POINTS = 9


@pytest.fixture(autouse=True)
def corpus(monkeypatch, tmp_path):
    """The small text in the place of the Penn Treebank."""
    monkeypatch.setenv("TIEDLM_RUNS_DIR", str(tmp_path / "runs"))
    config = write_texts(tmp_path / "texts")

    def small(asked, **options):
        assert asked.name == "ptb"
        return prepare(config, cache_dir=tmp_path / "cache")

    monkeypatch.setattr(figure1_runs, "prepare", small)


@pytest.fixture
def trained(monkeypatch):
    """How many runs have been trained."""
    calls = []

    def counted(config, stretch, run, **options):
        calls.append((config.temperature, config.beta, run))
        return run_theory(config, stretch, run, **options)

    run_theory = vars(figure1_runs)["run_theory"]
    monkeypatch.setattr(figure1_runs, "run_theory", counted)
    return calls


def measure(out, *runs, training=TINY, budget_seconds=None):
    return measure_figure1(runs or (0,), out, None, Silence(), training=training, budget_seconds=budget_seconds)


def points(out):
    return json.loads((out / "points.json").read_text())


def test_every_point_is_measured_once_and_never_again(tmp_path, trained):
    assert measure(tmp_path / "out") == Left(finished=POINTS, missing=0, out_of_time=False)
    assert len(trained) == len(set(trained)) == POINTS
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.json")}
    assert measure(tmp_path / "out").finished == 0
    assert len(trained) == POINTS
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.json")} == before
    assert not list((tmp_path / "runs").rglob("*.safetensors"))


def test_more_runs_are_added_to_those_that_are_there(tmp_path, trained):
    measure(tmp_path / "out")
    first = points(tmp_path / "out")
    measure(tmp_path / "out", 3)
    assert len(trained) == 2 * POINTS
    assert points(tmp_path / "out")["runs"] == [0, 3]
    for name, panel in points(tmp_path / "out")["panels"].items():
        for new, old in zip(panel, first["panels"][name], strict=True):
            assert list(new["distances"]) == ["0", "3"]
            assert new["distances"]["0"] == old["distances"]["0"]


def test_work_that_is_cut_goes_on_where_it_stopped(tmp_path, monkeypatch, trained):
    measure(tmp_path / "whole")
    del trained[:]
    original = vars(figure1_runs)["run_theory"]

    def cut(*arguments, **options):
        if len(trained) == 4:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(figure1_runs, "run_theory", cut)
    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path / "out")
    found = read_points(tmp_path, "out")
    assert sum(map(len, found.missing().values())) == POINTS - 4
    monkeypatch.setattr(figure1_runs, "run_theory", original)
    measure(tmp_path / "out")
    assert len(trained) == POINTS
    assert points(tmp_path / "out")["panels"] == points(tmp_path / "whole")["panels"]


def read_points(results, name):
    """The points of a folder of another name than usual."""
    (results / "figure1").symlink_to(results / name)
    found = figure1_points.read_points(results, TINY)
    assert found is not None
    return found


def test_a_run_that_is_cut_between_epochs_goes_on_from_there(tmp_path, monkeypatch):
    long = replace(TINY, together=replace(TOGETHER, epochs=2))
    measure(tmp_path / "whole", training=long)
    seen = []

    original = vars(figure1_runs)["run_theory"]

    def cut(*arguments, progress, state):
        def watched(standing):
            progress(standing)
            seen.append(standing.epoch)
            if len(seen) == 2:
                raise OutOfTimeError

        return original(*arguments, progress=watched, state=state)

    monkeypatch.setattr(figure1_runs, "run_theory", cut)
    left = measure(tmp_path / "out", training=long)
    assert (left.finished, left.missing, left.out_of_time) == (0, POINTS, True)
    assert len(list((tmp_path / "runs" / ".figure1").glob("*.safetensors"))) == 1
    measure(tmp_path / "out", training=long)
    assert seen[:5] == [1, 2, 3, 1, 2]  # the first point's run went on after its second epoch
    assert points(tmp_path / "out")["panels"] == points(tmp_path / "whole")["panels"]
    assert not list((tmp_path / "runs").rglob("*.safetensors"))


def test_nothing_is_begun_once_the_time_is_up(tmp_path, trained):
    left = measure(tmp_path / "out", budget_seconds=0.0)
    assert left == Left(finished=0, missing=POINTS, out_of_time=True)
    assert trained == []
    assert not (tmp_path / "out").exists()


def test_a_run_that_another_process_is_at_is_left_to_it(tmp_path, trained, monkeypatch):
    taken = []

    def first_is_taken(path):
        taken.append(path)
        return nullcontext(None) if len(taken) == 1 else original(path)

    original = vars(figure1_runs)["_taken"]
    monkeypatch.setattr(figure1_runs, "_taken", first_is_taken)
    assert measure(tmp_path / "out") == Left(finished=POINTS - 1, missing=1, out_of_time=False)
    assert len(trained) == POINTS - 1
    assert measure(tmp_path / "out").missing == 0
    assert len(trained) == POINTS


def test_a_run_that_another_process_has_finished_since_is_not_repeated(tmp_path, trained, monkeypatch):
    measure(tmp_path / "whole")
    del trained[:]

    def finished_meanwhile(path):
        if not trained:
            (tmp_path / "out" / "runs").mkdir(parents=True, exist_ok=True)
            for record in (tmp_path / "whole" / "runs").glob("*.json"):
                (tmp_path / "out" / "runs" / record.name).write_bytes(record.read_bytes())
        return original(path)

    original = vars(figure1_runs)["_taken"]
    monkeypatch.setattr(figure1_runs, "_taken", finished_meanwhile)
    assert measure(tmp_path / "out") == Left(finished=0, missing=0, out_of_time=False)
    assert trained == []


def test_a_lock_is_one(tmp_path):
    path = tmp_path / "somewhere" / "state.safetensors"
    with vars(figure1_runs)["_taken"](path) as first:
        assert first == path
        with vars(figure1_runs)["_taken"](path) as second:
            assert second is None
    with vars(figure1_runs)["_taken"](path) as again:
        assert again == path


def test_runs_of_another_training_are_not_mixed(tmp_path, trained):
    measure(tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.json")}
    with pytest.raises(RunError, match="is of another training"):
        measure(tmp_path / "out", training=replace(TINY, together=replace(TOGETHER, epochs=1)))
    assert len(trained) == POINTS
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.json")} == before


def test_no_record_names_a_folder_of_the_machine(tmp_path):
    measure(tmp_path / "out")
    for path in (tmp_path / "out").rglob("*.json"):
        assert str(tmp_path) not in path.read_text()


def test_no_run_is_an_error(tmp_path):
    with pytest.raises(ArgumentError, match="one run or more"):
        measure_figure1((), tmp_path, None, Silence())
