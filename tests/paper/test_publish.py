"""A finished run becomes a result."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from support.files import files
from support.finished_run import EPOCHS, RECIPE, journal, make_run, recipe_config, scores
from support.invented_analysis import analysis, instead_of_measuring
from support.published_results import move_to, without_analysis
from support.small_text import small_config
from support.tiny_run import Silence
from tiedlm.checkpoint import RunFolder
from tiedlm.config import to_json
from tiedlm.errors import ConfigError, RunError
from tiedlm.paper import differences, measurement
from tiedlm.paper.publish import publish
from tiedlm.paper.result import read_result
from tiedlm.training import loop
from tiedlm.training.longer import with_epochs

NAMES = ["analysis.json", "config.json", "environment.json", "metrics.jsonl", "provenance.json", "scores.json"]


@pytest.fixture(autouse=True)
def measured(monkeypatch) -> list[tuple[str, Path | None]]:
    """The runs that are measured, each with the folder of its corpus."""
    return instead_of_measuring(monkeypatch)


def test_a_finished_run_is_published_under_its_recipe_and_seed(tmp_path):
    run = make_run(tmp_path / "run", config=to_json(recipe_config(seed=3)))
    target = publish(run.path, tmp_path / "results")
    assert target == tmp_path / "results" / RECIPE / "seed-3"
    assert sorted(files(tmp_path / "results")) == [f"{RECIPE}/seed-3/{name}" for name in NAMES]
    result = read_result(target)
    assert result.config == run.read_json("config")
    assert result.scores == scores()
    assert result.analysis == analysis(scores())
    assert result.first_training is None
    assert result.provenance["weights_sha256"] == hashlib.sha256(b"weights").hexdigest()
    assert result.provenance["training_seconds"] == 2.0 * EPOCHS
    assert result.provenance["trainings"] == 1


def test_the_journal_is_thinned_to_epochs_and_events(tmp_path):
    target = publish(make_run(tmp_path / "run").path, tmp_path / "results")
    metrics = read_result(target).metrics
    assert metrics == [record for record in journal() if record["event"] != "window"]
    assert [record["event"] for record in metrics] == ["start", "resume", *["epoch"] * EPOCHS, "end"]


def test_where_a_training_went_on_is_published_with_where_it_began(tmp_path):
    run = make_run(tmp_path / "run")
    moves = [move_to("elsewhere", 5, precision="bfloat16")]
    run.commit({"moves": json.dumps(moves).encode()})
    result = read_result(publish(run.path, tmp_path / "results"))
    assert result.environment["moves"] == moves
    assert result.environment["processor"] == "a processor"
    assert result.provenance["commands"][1].endswith("# in epoch 5")


def test_no_path_of_the_machine_is_published(tmp_path):
    first = make_run(tmp_path / "first", weights=b"1")
    target = publish(make_run(tmp_path / "second", weights=b"2", parent=first).path, tmp_path / "results")
    for name, content in files(target).items():
        assert str(tmp_path).encode() not in content, name
        assert b"/somebody" not in content, name


def test_a_second_training_brings_the_first_along(tmp_path):
    first = make_run(tmp_path / "first", weights=b"1", scored=scores(95.0, 90.0))
    second = make_run(tmp_path / "second", weights=b"2", parent=first)
    alone = publish(first.path, tmp_path / "alone")
    target = publish(second.path, tmp_path / "results")
    assert files(target / "first-training") == files(alone)
    result = read_result(target)
    assert result.provenance["trainings"] == 2
    assert result.first_training is not None
    assert result.first_training.scores == scores(95.0, 90.0)
    assert result.scores == scores()


def test_a_third_training_brings_both(tmp_path):
    first = make_run(tmp_path / "1", weights=b"1")
    second = make_run(tmp_path / "2", weights=b"2", parent=first)
    target = publish(make_run(tmp_path / "3", weights=b"3", parent=second).path, tmp_path / "results")
    assert read_result(target).provenance["trainings"] == 3
    assert len(files(target)) == 18


def test_publishing_again_changes_nothing_and_measures_nothing(tmp_path, measured):
    run = make_run(tmp_path / "run")
    target = publish(run.path, tmp_path / "results", data_dir=tmp_path / "data")
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*")}
    assert publish(run.path, tmp_path / "results") == target
    assert {path: path.stat().st_mtime_ns for path in target.rglob("*")} == before
    assert measured == [("run", tmp_path / "data")]


def test_an_analysis_that_lacks_is_added(tmp_path, measured):
    run = make_run(tmp_path / "run")
    target = publish(run.path, tmp_path / "results")
    before = files(target)
    without_analysis(target)
    assert read_result(target).analysis is None
    assert publish(run.path, tmp_path / "results") == target
    assert files(target) == before
    assert len(measured) == 2


def test_the_first_training_is_measured_once(tmp_path, measured):
    first = make_run(tmp_path / "first", weights=b"1")
    second = make_run(tmp_path / "second", weights=b"2", parent=first)
    publish(first.path, tmp_path / "results")
    target = publish(second.path, tmp_path / "results", replace=True)
    assert [name for name, _ in measured] == ["first", "second"]
    assert (target / "first-training" / "analysis.json").is_file()


def test_a_second_training_takes_the_place_of_its_first_and_of_no_other(tmp_path):
    first, other = (make_run(tmp_path / name, weights=name.encode()) for name in ("first", "other"))
    second = make_run(tmp_path / "second", weights=b"2", parent=first)
    for folder, run in (("results", first), ("others", other)):
        publish(run.path, tmp_path / folder)
    assert read_result(publish(second.path, tmp_path / "results")).provenance["trainings"] == 2
    before = files(tmp_path / "others")
    with pytest.raises(RunError, match="holds another result already"):
        publish(second.path, tmp_path / "others")
    assert files(tmp_path / "others") == before


def test_a_second_training_of_another_seed_is_refused(tmp_path):
    first = make_run(tmp_path / "1", weights=b"1", config=to_json(recipe_config(seed=1)))
    second = make_run(tmp_path / "2", weights=b"2", parent=first)
    with pytest.raises(RunError, match=r"of \('ptb-small-re', 0\): .* one recipe and one seed"):
        publish(second.path, tmp_path / "results")


def test_nothing_is_measured_of_what_is_refused(tmp_path, measured):
    publish(make_run(tmp_path / "old").path, tmp_path / "results")
    with pytest.raises(RunError, match="another result already"):
        publish(make_run(tmp_path / "new", weights=b"better").path, tmp_path / "results")
    assert [name for name, _ in measured] == ["old"]


def test_an_edited_analysis_is_named_and_measured_again_on_demand(tmp_path, measured):
    run = make_run(tmp_path / "run")
    target = publish(run.path, tmp_path / "results")
    before = files(target)
    (target / "analysis.json").write_text((target / "analysis.json").read_text().replace("0.3", "0.4"))
    with pytest.raises(RunError, match=r"analysis\.json is damaged or was edited"):
        publish(run.path, tmp_path / "results")
    assert publish(run.path, tmp_path / "results", replace=True) == target
    assert files(target) == before
    assert len(measured) == 2


def test_what_was_measured_of_another_text_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(measurement, "measure", lambda run, data_dir, device: analysis(scores(test=99.0)))
    with pytest.raises(RunError, match=r"analysis\.json: .* nats over"):
        publish(make_run(tmp_path / "run").path, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_another_result_is_replaced_only_on_demand(tmp_path):
    publish(make_run(tmp_path / "old").path, tmp_path / "results")
    new = make_run(tmp_path / "new", weights=b"better", scored=scores(80.0, 79.0))
    before = files(tmp_path / "results")
    with pytest.raises(
        RunError, match=r"seed-0 holds another result already \(provenance.json, scores.json differ\)\. .*--replace"
    ):
        publish(new.path, tmp_path / "results")
    assert files(tmp_path / "results") == before
    target = publish(new.path, tmp_path / "results", replace=True)
    assert read_result(target).scores == scores(80.0, 79.0)
    assert [path.name for path in target.parent.iterdir()] == ["seed-0"]


def test_a_file_that_somebody_put_there_is_not_overlooked(tmp_path):
    run = make_run(tmp_path / "run")
    target = publish(run.path, tmp_path / "results")
    (target / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"holds another result already \(notes.txt differ\)"):
        publish(run.path, tmp_path / "results")
    assert (target / "notes.txt").read_text() == "mine"


def test_a_single_training_in_place_of_a_second_leaves_nothing_of_the_first(tmp_path):
    first = make_run(tmp_path / "1", weights=b"1")
    second = make_run(tmp_path / "2", weights=b"2", parent=first)
    publish(second.path, tmp_path / "results")
    target = publish(first.path, tmp_path / "results", replace=True)
    assert sorted(files(target)) == NAMES
    assert read_result(target).first_training is None


def test_a_run_that_is_not_finished_is_refused(tmp_path):
    run = RunFolder.create(
        tmp_path / "run", {"config": json.dumps(to_json(recipe_config())).encode(), "environment": b"{}"}
    )
    with pytest.raises(RunError, match=r"run is not finished: .* Go on with it: `tiedlm train --resume .*run`"):
        publish(run.path, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="There is no run folder"):
        publish(tmp_path / "run", tmp_path / "results")


def test_a_changed_config_is_refused(tmp_path):
    whole = recipe_config()
    changed = replace(whole, training=replace(whole.training, epochs=2))
    run = make_run(tmp_path / "run", config=to_json(changed), records=journal(2))
    with pytest.raises(
        ConfigError, match=rf"not one of the recipe '{RECIPE}': training.epochs is 2, the recipe's {EPOCHS}"
    ):
        publish(run.path, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_an_unknown_recipe_is_refused(tmp_path):
    run = make_run(tmp_path / "run", config=to_json(recipe_config()) | {"recipe": "ptb-smal-re"})
    with pytest.raises(ConfigError, match=f"Did you mean '{RECIPE}'"):
        publish(run.path, tmp_path / "results")


@pytest.mark.parametrize("missing", ["commit", "corpus", "parent"])
def test_an_environment_without_a_field_is_refused(tmp_path, missing):
    run = make_run(tmp_path / "run")
    told = {name: value for name, value in run.read_json("environment").items() if name != missing}
    contents = {"config": run.read("config"), "environment": json.dumps(told).encode()}
    other = RunFolder.create(tmp_path / "other", contents)
    other.commit({"weights": b"weights", "scores": run.read("scores")})
    with pytest.raises(RunError, match=rf"other lacks what a result tells \(KeyError\('{missing}'\)\)"):
        publish(other.path, tmp_path / "results")


def test_contradictions_are_refused_before_anything_is_written(tmp_path):
    run = make_run(tmp_path / "run", records=journal(EPOCHS - 1))
    with pytest.raises(RunError, match=rf"run: metrics.jsonl should have one record for each of {EPOCHS} epochs"):
        publish(run.path, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_the_first_training_must_still_be_there(tmp_path):
    first = make_run(tmp_path / "first", weights=b"1")
    second = make_run(tmp_path / "second", weights=b"2", parent=first)
    first.path.rename(tmp_path / "elsewhere")
    with pytest.raises(
        RunError, match=r"second started from the weights of another run.*There is no run folder .*first"
    ):
        publish(second.path, tmp_path / "results")


def test_the_first_training_must_have_the_weights_of_then(tmp_path):
    first = make_run(tmp_path / "first", weights=b"1")
    second = make_run(tmp_path / "second", weights=b"2", parent=first)
    first.commit({"weights": b"other"})
    with pytest.raises(RunError, match=r"started from other weights than .*first has now"):
        publish(second.path, tmp_path / "results")


def test_the_first_training_must_be_of_the_same_recipe(tmp_path):
    first = make_run(tmp_path / "first", weights=b"1", config=to_json(recipe_config(name="ptb-small-real")))
    second = make_run(tmp_path / "second", weights=b"2", parent=first)
    with pytest.raises(RunError, match="must be of one recipe"):
        publish(second.path, tmp_path / "results")


def test_what_the_training_itself_leaves_is_published(tmp_path, monkeypatch):
    monkeypatch.undo()  # it is measured here
    monkeypatch.setenv("TIEDLM_CACHE_DIR", str(tmp_path / "cache"))
    config = with_epochs(small_config(tmp_path), 1)
    monkeypatch.setattr(differences, "recipe", lambda name: replace(config, seed=0))
    first = loop.train(config, tmp_path / "first", cache_dir=tmp_path / "cache", display=Silence())
    second = loop.train(
        config, tmp_path / "second", start_from=first.path, cache_dir=tmp_path / "cache", display=Silence()
    )
    result = read_result(publish(second.path, tmp_path / "results"))
    assert result.scores == second.read_json("scores")
    assert result.provenance["weights_sha256"] == hashlib.sha256(second.read("weights")).hexdigest()
    assert result.first_training is not None
    assert result.first_training.scores == first.read_json("scores")
    assert {record["event"] for record in result.metrics} == {"start", "epoch", "end"}
    for stage, run in ((result, second), (result.first_training, first)):
        assert stage.analysis is not None
        assert stage.analysis["score"]["nll_nats"] == pytest.approx(run.read_json("scores")["test"]["nll_nats"])
        assert stage.analysis["blocks"].keys() == stage.analysis["probability"].keys()
