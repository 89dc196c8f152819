"""Figure 1: its records, and the runs that are trained, cut, resumed and shared."""

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from support.files import files
from support.results import add_figure1, add_record, reseal
from support.small_text import write_texts
from tiedlm.data.corpus import prepare
from tiedlm.errors import RunError
from tiedlm.paper import theory
from tiedlm.paper.figure1 import (
    ALIGN_PHASE,
    GRID,
    MEMORISE_PHASE,
    TRAINING,
    Figure1,
    Setting,
    TheoryConfig,
    comparison_text,
    read_outcomes,
    read_records,
    record_path,
    summary_text,
    write_provenance,
)
from tiedlm.paper.theory import BudgetExceeded, Figure1Status, run_missing

TINY = TheoryConfig(
    temperature=1.0,
    beta=1.0,
    text_words=200,
    units=3,
    layers=1,
    apart=replace(MEMORISE_PHASE, epochs=1),
    together=replace(ALIGN_PHASE, epochs=0),
    streams=4,
    classifier_range=0.1,
)


def outcomes(results: Path, training: TheoryConfig = TRAINING) -> Figure1:
    figure1 = read_outcomes(results, training)
    assert figure1 is not None
    return figure1


def test_records_become_points_with_what_is_missing(tmp_path: Path) -> None:
    assert read_outcomes(tmp_path) is None
    assert summary_text(None).startswith("Figure 1: not run")
    add_figure1(tmp_path, runs=2, without=[(Setting(10.0, 0.5), 1), (Setting(5.0, 1.0), 0), (Setting(5.0, 1.0), 1)])
    figure1 = outcomes(tmp_path)
    assert (figure1.words, figure1.units, figure1.runs) == (3300, 300, (0, 1))
    assert figure1.chance == pytest.approx((1 - 300 / 3300) ** 0.5)
    assert figure1.missing() == {Setting(10.0, 0.5): [1], Setting(5.0, 1.0): [0, 1]}
    assert [point.distances and point.distances.n for point in figure1.panels["beta"]] == [2, 2, 1, 2, 2]
    assert figure1.panels["tau"][2].distances is None
    text = "Missing: runs 1 of (τ 10, β 0.5); runs 0 1 of (τ 5, β 1). `tiedlm reproduce figure1` goes on with it."
    assert summary_text(figure1) == f"Figure 1: 15 of 18 runs. {text}"
    assert "at β = 1, τ = 10 (about 0.06)" in comparison_text(figure1)


@pytest.mark.parametrize("damage", ["edited", "unlisted", "unlinked", "version"])
def test_a_folder_that_is_damaged_or_edited_is_named(tmp_path: Path, damage: str) -> None:
    folder = add_figure1(tmp_path, runs=1)
    path = record_path(folder, GRID[0], 0)
    if damage == "edited":
        path.write_text(path.read_text().replace("0.9", "0.1"))
    elif damage == "unlisted":
        path = add_record(folder, GRID[0], 1)
    elif damage == "unlinked":
        path = folder / "provenance.json"
        path.unlink()
    else:
        path = folder / "provenance.json"
        reseal(folder, version=1)
    with pytest.raises(RunError, match=path.name):
        read_outcomes(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v["outcome"].update(distance=1.5), "has the distance 1.5"),
        (lambda v: v["outcome"].update(words=200), "200 words, which no run has"),
        (lambda v: v["config"].update(units=299), "of another training"),
        (lambda v: v.update(run=7), "its run should be 0"),
        (lambda v: v.pop("outcome"), r"outcome\.distance must be"),
    ],
)
def test_records_of_other_trainings_and_without_distance_are_refused(tmp_path: Path, change: Any, message: str) -> None:
    folder = add_figure1(tmp_path, runs=1)
    path = record_path(folder, GRID[0], 0)
    value = json.loads(path.read_bytes())
    change(value)
    path.write_text(json.dumps(value))
    reseal(folder)
    with pytest.raises(RunError, match=message):
        read_outcomes(tmp_path)
    with pytest.raises(RunError, match=message):
        read_records(folder, TRAINING)


def test_a_record_of_no_point_is_refused_and_a_new_one_is_listed_with_the_others(tmp_path: Path) -> None:
    folder = add_figure1(tmp_path, runs=1)
    add_record(folder, GRID[3], 4)
    write_provenance(folder, TRAINING)
    assert outcomes(tmp_path).runs == (0, 4)
    os.rename(record_path(folder, GRID[3], 4), folder / "runs" / "tau-3-beta-1-run-4.json")
    with pytest.raises(RunError, match="is not the record of a run of Figure 1"):
        write_provenance(folder, TRAINING)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[float, float, int]]:
    """The runs that are trained, on a small text in the place of the Penn Treebank."""
    monkeypatch.setenv("TIEDLM_RUNS_DIR", str(tmp_path / "runs"))
    config, calls, run_theory = write_texts(tmp_path / "texts"), [], theory.run_theory

    def counted(config: TheoryConfig, stretch: Any, run: int, **options: Any) -> Any:
        calls.append((config.temperature, config.beta, run))
        return run_theory(config, stretch, run, **options)

    monkeypatch.setattr(theory, "run_theory", counted)
    monkeypatch.setattr(theory, "prepare", lambda corpus, **options: prepare(config, cache_dir=tmp_path / "cache"))
    return calls


def measure(
    results: Path, *runs: int, training: TheoryConfig = TINY, lines: list[str] | None = None, **options: Any
) -> Any:
    lines = [] if lines is None else lines
    return run_missing(runs or (0,), results / "figure1", None, lines.append, training=training, **options)


def test_every_point_is_trained_once_and_more_runs_are_added(tmp_path: Path, trained: list[Any]) -> None:
    assert measure(tmp_path) == Figure1Status(finished=9, missing=0, out_of_time=False)
    assert len(trained) == len(set(trained)) == 9
    before = files(tmp_path / "figure1")
    assert measure(tmp_path).finished == 0
    assert files(tmp_path / "figure1") == before
    measure(tmp_path, 3)
    assert len(trained) == 18
    assert outcomes(tmp_path, TINY).runs == (0, 3)
    assert not list((tmp_path / "runs").rglob("*.safetensors"))
    assert all(str(tmp_path).encode() not in content for content in files(tmp_path / "figure1").values())


def test_work_that_is_cut_between_runs_and_epochs_goes_on_where_it_stopped(
    tmp_path: Path, trained: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    long = replace(TINY, together=replace(ALIGN_PHASE, epochs=2))
    measure(tmp_path / "whole", training=long)
    seen: list[int] = []
    run_theory = theory.run_theory

    def cut(*arguments: Any, on_epoch: Any, state: Any) -> Any:
        def watched(reached: Any) -> None:
            on_epoch(reached)
            seen.append(reached.epoch)
            if len(seen) == 5:
                raise BudgetExceeded

        return run_theory(*arguments, on_epoch=watched, state=state)

    monkeypatch.setattr(theory, "run_theory", cut)
    status = measure(tmp_path, training=long)
    assert (status.finished, status.missing, status.out_of_time) == (1, 8, True)
    assert len(list((tmp_path / "runs" / ".figure1").glob("*.safetensors"))) == 1
    lines: list[str] = []
    measure(tmp_path, training=long, lines=lines)
    assert seen[:9] == [1, 2, 3, 1, 2, 3, 1, 2, 3]  # the second run went on after its second epoch
    assert "goes on after epoch 2 of 3" in lines[0]
    assert outcomes(tmp_path, long).panels == outcomes(tmp_path / "whole", long).panels
    assert not list((tmp_path / "runs").rglob("*.safetensors"))


@pytest.mark.parametrize(("deadline", "stops"), [(0.0, True), (15.0, True), (200.0, False)])
def test_a_run_stops_where_what_comes_next_would_end_too_late(
    tmp_path: Path, trained: list[Any], monkeypatch: pytest.MonkeyPatch, deadline: float, stops: bool
) -> None:
    """Every epoch takes 10 s, and the fit after the last as long as 10 of them; the clock stands still otherwise."""
    now, run_theory = [0.0], theory.run_theory
    monkeypatch.setattr(theory, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def slow(*arguments: Any, on_epoch: Any, state: Any) -> Any:
        def tick(reached: Any) -> None:
            now[0] += 10.0
            on_epoch(reached)

        return run_theory(*arguments, on_epoch=tick, state=state)

    monkeypatch.setattr(theory, "run_theory", slow)
    lines: list[str] = []
    status = measure(tmp_path, lines=lines, budget_seconds=deadline)
    assert (status.out_of_time, status.finished > 0) == (stops, not stops)
    if deadline == 15.0:
        assert lines == ["run 0, tau 10, beta 0: saved after epoch 1 of 1, 10s"]
        status = measure(tmp_path)
        record = json.loads(record_path(tmp_path / "figure1", GRID[0], 0).read_bytes())
        assert (status.missing, record["seconds"]) == (0, 10.0)  # those before the interruption


def test_runs_that_another_process_holds_or_has_finished_are_left_to_it(
    tmp_path: Path, trained: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    measure(tmp_path / "whole")
    del trained[:]
    lock, taken = vars(theory)["_lock"], []

    def meanwhile(path: Path) -> Any:
        taken.append(path)
        if len(taken) == 1:
            held = lock(path)
            held.__enter__()
            taken.append(held)
        elif len(taken) == 3:
            record = record_path(tmp_path / "whole" / "figure1", GRID[1], 0)
            copy = record_path(tmp_path / "figure1", GRID[1], 0)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(record.read_bytes())
        return lock(path)

    monkeypatch.setattr(theory, "_lock", meanwhile)
    assert measure(tmp_path) == Figure1Status(finished=7, missing=1, out_of_time=False)
    taken[1].__exit__(None, None, None)
    assert measure(tmp_path).missing == 0
    assert len(trained) == 8


def test_records_of_another_training_and_damaged_states_are_refused(tmp_path: Path, trained: list[Any]) -> None:
    measure(tmp_path)
    before = files(tmp_path / "figure1")
    with pytest.raises(RunError, match="is of another training"):
        measure(tmp_path, training=replace(TINY, streams=5))
    assert files(tmp_path / "figure1") == before
    interrupted = mock.patch.object(theory, "write_record", side_effect=KeyboardInterrupt)
    with interrupted, pytest.raises(KeyboardInterrupt):
        measure(tmp_path, 1)
    [state] = (tmp_path / "runs" / ".figure1").glob("*.safetensors")
    state.write_bytes(b"nonsense")
    with pytest.raises(RunError, match=r"safetensors is damaged .* Delete it to begin that run again"):
        measure(tmp_path, 1)
