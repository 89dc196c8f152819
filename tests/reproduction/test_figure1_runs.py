from __future__ import annotations

import json
from dataclasses import replace

import pytest
from filelock import FileLock

from support.small_text import write_texts
from support.tiny_run import Silence
from tiedlm.corpora.prepare import prepare
from tiedlm.errors import ArgumentError, RunError
from tiedlm.reproduction import figure1_runs
from tiedlm.reproduction.figure1_runs import measure_figure1
from tiedlm.reproduction.theory_setting import TheoryConfig

TINY = TheoryConfig(
    temperature=1.0, beta=1.0, text_words=200, units=3, layers=1, epochs=1, streams=4, classifier_range=0.1
)
POINTS = 11


@pytest.fixture(autouse=True)
def corpus(monkeypatch, tmp_path):
    """The small text in the place of the Penn Treebank."""
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


def measure(out, runs=1, training=TINY):
    return measure_figure1(runs, out, None, Silence(), training=training)


def test_every_point_is_measured_once_and_never_again(tmp_path, trained):
    path = measure(tmp_path / "out")
    assert path == tmp_path / "out" / "points.json"
    assert path is not None
    assert len(trained) == len(set(trained)) == POINTS
    before = path.read_bytes()
    assert measure(tmp_path / "out") == path
    assert len(trained) == POINTS
    assert path.read_bytes() == before
    assert not list((tmp_path / "out" / "runs").glob("*.lock"))


def test_more_runs_are_added_to_those_that_are_there(tmp_path, trained):
    measure(tmp_path / "out")
    first = json.loads((tmp_path / "out" / "points.json").read_text())
    path = measure(tmp_path / "out", runs=2)
    assert path is not None
    assert len(trained) == 2 * POINTS
    for name, panel in json.loads(path.read_text())["panels"].items():
        for new, old in zip(panel, first["panels"][name], strict=True):
            assert len(new["distances"]) == 2
            assert new["distances"][0] == old["distances"][0]


def test_work_that_is_cut_goes_on_where_it_stopped(tmp_path, monkeypatch, trained):
    whole = measure(tmp_path / "whole")
    del trained[:]
    original = vars(figure1_runs)["run_theory"]

    def cut(*arguments, **options):
        if len(trained) == 4:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(figure1_runs, "run_theory", cut)
    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path / "out")
    assert not (tmp_path / "out" / "points.json").exists()
    monkeypatch.setattr(figure1_runs, "run_theory", original)
    found = measure(tmp_path / "out")
    assert len(trained) == POINTS
    assert whole is not None
    assert found is not None
    panels = [json.loads(path.read_text())["panels"] for path in (whole, found)]
    assert panels[0] == panels[1]


def test_a_run_that_another_process_is_at_is_left_to_it(tmp_path, trained):
    taken = tmp_path / "out" / "runs" / "tau-10-beta-1-run-0.lock"
    taken.parent.mkdir(parents=True)
    with FileLock(taken):
        assert measure(tmp_path / "out") is None
    assert len(trained) == POINTS - 1
    assert not (tmp_path / "out" / "points.json").exists()
    assert measure(tmp_path / "out") is not None
    assert len(trained) == POINTS


def test_runs_of_another_training_are_not_mixed(tmp_path, trained):
    measure(tmp_path / "out")
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.json")}
    with pytest.raises(RunError, match="is of another training"):
        measure(tmp_path / "out", training=replace(TINY, epochs=2))
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.json")} == before


def test_no_record_names_a_folder_of_the_machine(tmp_path):
    measure(tmp_path / "out")
    for path in (tmp_path / "out").rglob("*.json"):
        assert str(tmp_path) not in path.read_text()


@pytest.mark.parametrize(
    ("options", "told"),
    [({"runs": 0}, "runs is 0"), ({"runs": 1, "device": "cuda"}, "device cuda was asked for")],
)
def test_what_cannot_be_done_is_told(tmp_path, monkeypatch, options, told):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    runs, device = options["runs"], options.get("device", "cpu")
    with pytest.raises(ArgumentError, match=told):
        measure_figure1(runs, tmp_path, None, Silence(), device=device)
