"""The command line of a job: read back, it gives the job's config."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from support.finished_run import make_run
from support.small_text import small_config
from tiedlm.checkpoint.folder import RunFolder
from tiedlm.cli import train
from tiedlm.config import to_json
from tiedlm.data.sources import CorpusConfig
from tiedlm.errors import ArgumentError, RunError
from tiedlm.launching.job import Job
from tiedlm.recipes import recipe
from tiedlm.runs.config import RunConfig
from tiedlm.training import loop

PROGRAM = [sys.executable, "-m", "tiedlm", "train"]
TEXT = CorpusConfig(train="/a/train.txt", valid="/a/v.txt", test="/a/t.txt", vocabulary_size=100)


def changed(name: str, **sections) -> RunConfig:
    """A recipe with fields of its sections changed."""
    config = recipe(name)
    return replace(config, **{part: replace(getattr(config, part), **new) for part, new in sections.items()})


@pytest.fixture
def read_back(monkeypatch):
    """Read a command line as `tiedlm train` does, and return what it would train."""
    found = []

    def keep(config, run_dir, **options):
        found.append((config, {"run_dir": run_dir, **{name: options[name] for name in ("start_from", "data_dir")}}))

    monkeypatch.setattr(loop, "train", keep)
    monkeypatch.setattr(train, "run_config", lambda run: recipe("demo-vd"))

    def read(command):
        assert command[:4] == PROGRAM
        assert train.train(command[4:]) == 0
        return found[-1]

    return read


@pytest.mark.parametrize(
    "config",
    [
        recipe("ptb-small-re"),
        replace(recipe("ptb-large-real"), seed=7),
        changed("ptb-small-real", loss={"gamma": 1e-7, "temperature": 3.0}, model={"tied": False}),
        changed("ptb-small-vd", model={"tied": True, "units": 8}, training={"epochs": 2, "learning_rate": 0.1}),
        changed("demo-vd", runtime={"threads": None, "device": "cuda:1", "precision": "bfloat16", "save_seconds": 0.5}),
        replace(recipe("ptb-small-vd"), corpus=TEXT),
        replace(recipe("text-small-vd"), corpus=TEXT),
        replace(recipe("text-small-vd"), corpus=CorpusConfig(name="builtin")),
    ],
    ids=lambda config: config.recipe,
)
def test_the_command_gives_the_config_and_the_folders(config, read_back, tmp_path):
    run, second, data = tmp_path / "a run", tmp_path / "second", Path("data")
    expected = {"run_dir": run, "start_from": None, "data_dir": None}
    assert read_back(Job(config=config, run_dir=run).command()) == (config, expected)
    job = Job(config=config, run_dir=second, start_from=run, data_dir=data)
    expected = {"run_dir": second, "start_from": run, "data_dir": data}
    assert read_back(job.command()) == (config, expected)


def test_a_config_file_is_the_base_where_the_config_came_from_one(read_back, tmp_path):
    config, file = small_config(tmp_path), tmp_path / "mine.json"
    file.write_text(json.dumps(to_json(config)))
    wanted = replace(config, seed=5, training=replace(config.training, epochs=9))
    command = Job(config=wanted, run_dir=tmp_path / "run", config_file=file).command()
    assert command[4:] == [str(file), "--seed", "5", "--training.epochs=9", "--run-dir", str(tmp_path / "run")]
    assert read_back(command)[0] == wanted
    with pytest.raises(ArgumentError, match="recipe is 'other', but its file holds 'small'"):
        Job(config=replace(config, recipe="other"), run_dir=tmp_path / "run", config_file=file).command()


@pytest.mark.parametrize(
    ("name", "section", "field", "value"),
    [
        ("ptb-small-re", "training", "moving_windows", True),
        ("ptb-small-re", "training", "weight_decay", 1e-4),
        ("ptb-small-re", "model", "tied_bias", True),
        ("ptb-rhn-re", "model", "tied_bias", True),
    ],
)
def test_a_field_that_came_later_is_changed_and_set_back_to_its_default(
    read_back, tmp_path, name, section, field, value
):
    default = type(getattr(recipe(name), section)).__dataclass_fields__[field].default
    for base, wanted in ((default, value), (value, default)):
        (tmp_path / "mine.json").write_text(json.dumps(to_json(changed(name, **{section: {field: base}}))))
        config = changed(name, **{section: {field: wanted}})
        job = Job(config=config, run_dir=tmp_path / "run", config_file=tmp_path / "mine.json")
        assert read_back(job.command())[0] == config


def test_a_model_of_another_kind_than_the_recipes_has_no_command(tmp_path):
    config = replace(recipe("ptb-small-re"), model=recipe("ptb-rhn-re").model)
    with pytest.raises(ArgumentError, match=r"a model of another kind.*write the config to a JSON file"):
        Job(config=config, run_dir=tmp_path / "run").command()


def test_what_is_begun_goes_on_and_what_is_scored_is_finished(tmp_path):
    job = Job(config=recipe("ptb-small-re"), run_dir=tmp_path / "run", data_dir=Path("data"))
    assert not job.is_begun()
    job.run_dir.mkdir()
    assert not job.is_begun()
    assert not job.is_finished()
    RunFolder.create(job.run_dir, {"config": b"{}"})
    assert job.is_begun()
    assert not job.is_finished()
    assert job.command() == [*PROGRAM, "--resume", str(job.run_dir), "--data-dir", "data"]
    assert Job(config=job.config, run_dir=make_run(tmp_path / "done").path).is_finished()


def test_something_else_in_the_place_of_the_run_is_an_error(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(RunError):
        Job(config=recipe("ptb-small-re"), run_dir=tmp_path / "run").is_finished()
