from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from support.small_text import SMALL, small_config
from tiedlm.cli import training_run
from tiedlm.config import from_json, to_json
from tiedlm.models.config import GRUConfig, RHNConfig
from tiedlm.recipes import recipe, recipe_names
from tiedlm.runs.config import LossConfig, RunConfig


@pytest.fixture
def asked(monkeypatch):
    """Keeps what would be trained instead of training it."""
    calls = []

    def begin(config, **options):
        calls.append((config, options))
        return 0

    monkeypatch.setattr(training_run, "begin", begin)
    return calls


def config_in(folder):
    return from_json(RunConfig, json.loads((folder / "config.json").read_text()))


def test_from_text_files_to_a_scored_run(tiedlm, texts, tmp_path):
    answer = tiedlm("train", "text-small-real", *texts, "--seed", 3, *SMALL)
    assert (answer.status, answer.error) == (0, "")
    run = tmp_path / "runs" / "text-small-real-seed-3"
    assert answer.output.startswith("run: runs/text-small-real-seed-3\n")
    assert "test perplexity" in answer.output
    config = config_in(run)
    assert (config.recipe, config.seed, config.model.units, config.training.epochs) == ("text-small-real", 3, 8, 1)
    assert config.corpus.train == str(tmp_path / "train.txt")
    scored = tiedlm("score", "runs/text-small-real-seed-3")
    assert scored.values()["perplexity"][:4] in answer.output


def test_a_second_training_starts_from_the_runs_weights(tiedlm, texts, tmp_path):
    arguments = ["train", "text-small-re", *texts, *SMALL]
    assert tiedlm(*arguments).status == 0
    assert tiedlm(*arguments, "--from", "runs/text-small-re-seed-0").status == 0
    second = tmp_path / "runs" / "text-small-re-seed-0-second"
    environment = json.loads((second / "environment.json").read_text())
    assert environment["parent"]["path"] == str(tmp_path / "runs" / "text-small-re-seed-0")


def test_a_run_that_exists_is_not_trained_over(tiedlm, texts, tmp_path):
    (tmp_path / "runs" / "text-small-vd-seed-0").mkdir(parents=True)
    (tmp_path / "runs" / "text-small-vd-seed-0" / "mine").write_text("x")
    answer = tiedlm("train", "text-small-vd", *texts, *SMALL)
    assert answer.status == 2
    for told in ("runs/text-small-vd-seed-0 exists already", "--run-dir"):
        assert told in answer.error
    assert [path.name for path in (tmp_path / "runs" / "text-small-vd-seed-0").iterdir()] == ["mine"]


def test_fields_of_the_recipe_are_changed_and_no_others(tiedlm, asked):
    assert tiedlm("train", "--loss.gamma", 0.7, "ptb-small-real", "--runtime.threads=1", "--model.no-tied").status == 0
    ((config, options),) = asked
    original = to_json(recipe("ptb-small-real"))
    assert original["loss"]["gamma"] != 0.7
    assert to_json(config) == original | {
        "loss": original["loss"] | {"gamma": 0.7},
        "runtime": original["runtime"] | {"threads": 1},
        "model": original["model"] | {"tied": False},
    }
    assert options == {"run_dir": None, "start_from": None, "data_dir": None}


def test_the_augmented_term_is_taken_out_by_its_weight_alone(tiedlm, asked):
    assert tiedlm("train", "ptb-small-real", "--loss.gamma", 0).status == 0
    assert tiedlm("train", "ptb-small-real", "--loss.gamma", 0, "--loss.temperature", None).status == 0
    assert [config.loss for config, _ in asked] == [LossConfig(), LossConfig()]


def test_fields_of_a_recurrent_highway_network_are_changed_and_only_it_has_them(tiedlm, asked):
    assert (
        tiedlm("train", "ptb-rhn-re", "--model.depth", 3, "--model.no-tied", "--training.weight-decay", 0).status == 0
    )
    ((config, _),) = asked
    original = recipe("ptb-rhn-re")
    assert config.model == replace(original.model, depth=3, tied=False)
    assert config.training == replace(original.training, weight_decay=0.0)
    assert "--model.depth" in tiedlm("train", "ptb-rhn-re", "--help").output
    assert "--model.depth" not in tiedlm("train", "ptb-small-re", "--help").output


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("gru", {"units": 8, "keep_hidden": 0.7}),
        ("rhn", {"units": 8, "depth": 3, "keep_words": 0.8, "keep_state": 0.7}),
    ],
)
def test_a_model_of_another_kind_is_trained_resumed_and_scored_from_a_config_file(
    tiedlm, texts, tmp_path, kind, fields
):
    value = to_json(replace(small_config(tmp_path), recipe=kind))
    value["model"] = to_json({"gru": GRUConfig, "rhn": RHNConfig}[kind](tied=True, **fields))
    value["training"] |= {"epochs": 2, "learning_rate": 0.3, "weight_decay": 1e-4}
    (tmp_path / "mine.json").write_text(json.dumps(value))
    assert tiedlm("train", "mine.json", "--run-dir", "run", "--training.epochs", 1).status == 0
    assert config_in(tmp_path / "run").model == from_json(RunConfig, value).model
    assert tiedlm("train", "--resume", "run").status == 0
    again = tiedlm("train", "mine.json", "--run-dir", "second", "--from", "run", "--training.epochs", 1)
    assert (again.status, again.error) == (0, "")
    assert float(tiedlm("score", "run").values()["perplexity"]) < 20


def test_folders_are_passed_on(tiedlm, asked):
    options = {"run_dir": "a", "start_from": "b", "data_dir": "c"}
    assert tiedlm("train", "ptb-small-re", "--run-dir", "a", "--from", "b", "--data-dir", "c").status == 0
    assert asked[0][1] == {name: Path(folder) for name, folder in options.items()}


def test_a_run_goes_on_with_the_data_folder_that_is_given(tiedlm, tiny, monkeypatch):
    calls = []
    monkeypatch.setattr(training_run, "go_on", lambda *arguments: calls.append(arguments) or 0)
    assert tiedlm("train", "--resume", tiny / "run", "--data-dir", "c").status == 0
    assert calls == [(tiny / "run", config_in(tiny / "run"), Path("c"), None)]


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_goes_through_the_command_line_unchanged(tiedlm, asked, name, monkeypatch):
    monkeypatch.setattr("tiedlm.cli.train.with_absolute_paths", lambda corpus: corpus)
    assert tiedlm("train", name).status == 0
    assert asked[0][0] == recipe(name)


def test_a_config_file_is_a_recipe(tiedlm, asked, tmp_path):
    config = small_config(tmp_path)
    (tmp_path / "mine.json").write_text(json.dumps(to_json(config)))
    assert tiedlm("train", tmp_path / "mine.json").status == 0
    assert asked[0][0] == config


def test_the_help_lists_the_recipes_and_with_one_its_values(tiedlm):
    for name in recipe_names():
        assert name in tiedlm("train", "--help").output
    answer = tiedlm("train", "ptb-small-real", "--help")
    assert answer.status == 0
    assert "--loss.gamma" in answer.output
    assert "(default: 20.0)" in answer.output
    assert "tiedlm train ptb-small-real" in answer.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "Name the recipe to train"),
        (["ptb-small-rael"], "Did you mean 'ptb-small-real'?"),
        (["ptb-small-real", "--loss.gama", "1"], "--loss.gamma"),
        (["ptb-small-real", "--training.epoch", "1"], "--training.epochs"),
        (["ptb-small-real", "--loss.gamma", "-1"], "loss.gamma is -1.0"),
        (["ptb-small-real", "--seed", "-1"], "seed is -1"),
        (["ptb-small-real", "--seed", "x"], "--seed"),
        (["ptb-small-real", "--corpus.train", "a"], "--corpus.valid, --corpus.test is missing"),
        (["ptb-small-real", "--corpus.name", "pbt"], "Did you mean 'ptb'"),
        (["ptb-small-vd", "--loss.temperature", "20"], "no effect"),
        (["ptb-small-vd", "--model.depth", "3"], "--model.depth"),
        (["ptb-rhn-vd", "--model.keep-hidden", "0.5"], "--model.keep-hidden"),
        (["ptb-rhn-vd", "--model.depth", "0"], "model.depth is 0"),
        (["ptb-rhn-vd", "--training.weight-decay", "-1"], "training.weight_decay is -1.0"),
        (["ptb-small-vd", "ptb-small-re"], "2 are named: ptb-small-vd, ptb-small-re"),
        (["ptb-small-real", "--loss.gamma", "0", "--loss.temperature", "20"], "no effect without the augmented term"),
        (["ptb-small-real", "--loss.gamma", "zero"], "--loss.gamma"),
        (["ptb-small-vd", "--resume", "nowhere"], "There is no run folder"),
        (["--resume"], "--resume"),
        (["ptb-small-vd", "--resume"], "--resume"),
        (["--resume="], "--resume is empty"),
        (["ptb-small-vd", "--resume", ""], "--resume is empty"),
        (["ptb-small-vd", "--from", ""], "--from is empty"),
        (["ptb-small-vd", "--run-dir="], "--run-dir is empty"),
        (["ptb-small-vd", "--seeds", "0", "--data-dir", ""], "--data-dir is empty"),
    ],
)
def test_mistakes_are_told_before_anything_is_done(tiedlm, asked, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    answer = tiedlm("train", *arguments)
    assert answer.status == 2
    assert answer.error.startswith("tiedlm: error: ")
    assert told in answer.error
    assert (answer.output, asked, list(tmp_path.iterdir())) == ("", [], [])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--loss.gamma", "0.7"], "--loss.gamma has no effect beside --resume"),
        (["--model.no-tied"], "--model.no-tied has no effect beside --resume"),
        (["--runtime.save-seconds=3"], "is finished: there is nothing left to be trained elsewhere"),
        (["--runtime.device", "cpu"], "--runtime.device has no effect: "),
        (["--corpus.train", "a.txt"], "--corpus.train has no effect beside --resume"),
        (["--seed", "3"], "--seed has no effect beside --resume"),
        (["--run-dir", "x"], "--run-dir has no effect beside --resume without --training.epochs"),
        (["--run-dir", "x", "--seed", "3"], "--run-dir has no effect beside --resume"),
        (["--training.epochs", "3", "--training.decay", "0.5"], "--training.decay has no effect beside --resume"),
        (["--training.epochs", "2"], "is a training of 2 epochs, and 2 are asked for"),
        (["--from", "x"], "--from has no effect beside --resume"),
        (["ptb-small-vd"], "is a run of the recipe 'small', not of 'ptb-small-vd'"),
    ],
)
def test_nothing_can_be_changed_in_a_run_that_goes_on(tiedlm, tiny, arguments, told):
    answer = tiedlm("train", *arguments, "--resume", tiny / "run")
    assert (answer.status, answer.output) == (2, "")
    assert told in answer.error


def test_a_finished_run_stays_as_it_is(tiedlm, tiny):
    before = {path.name: path.read_bytes() for path in (tiny / "run").iterdir()}
    answer = tiedlm("train", "--resume", tiny / "run")
    assert answer.status == 0
    assert "is finished already" in answer.output
    assert {path.name: path.read_bytes() for path in (tiny / "run").iterdir()} == before


@pytest.mark.parametrize("pattern", ["weights-*", "vocabulary.json", "journal.jsonl"])
def test_a_damaged_run_is_not_called_finished(tiedlm, tiny, tmp_path, pattern):
    shutil.copytree(tiny / "run", tmp_path / "run")
    (damaged,) = (tmp_path / "run").glob(pattern)
    damaged.write_bytes(damaged.read_bytes()[:-2])
    answer = tiedlm("train", "--resume", tmp_path / "run")
    assert (answer.status, answer.output) == (2, "")
    assert f"{damaged} is damaged" in answer.error
