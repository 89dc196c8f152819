from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tiedlm.cli.recipe_config import recipe_config, switches, with_absolute_paths, with_corpus, with_loss
from tiedlm.cli.words import Words
from tiedlm.config import to_json
from tiedlm.data.sources import CorpusConfig
from tiedlm.errors import ConfigError
from tiedlm.recipes import recipe
from tiedlm.runs.config import LossConfig

FILES = {"corpus.train": "a.txt", "corpus.valid": "b.txt", "corpus.test": "c.txt"}


def test_a_recipe_by_name():
    assert recipe_config("ptb-small-real") == recipe("ptb-small-real")
    with pytest.raises(ConfigError, match=r"no recipe 'ptb-small-reel'\. Did you mean 'ptb-small-re"):
        recipe_config("ptb-small-reel")


def test_a_config_file(tmp_path):
    config = replace(recipe("ptb-small-al"), recipe="mine", seed=7)
    for name in ("mine.json", "mine"):
        (tmp_path / name).write_text(json.dumps(to_json(config)))
        assert recipe_config(str(tmp_path / name)) == config


def test_a_config_file_by_its_name_without_the_ending(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = replace(recipe("ptb-small-al"), recipe="mine", seed=7)
    (tmp_path / "mine.json").write_text(json.dumps(to_json(config)))
    assert recipe_config("mine") == config


@pytest.mark.parametrize("ending", ["", ".json"])
def test_a_file_with_the_name_of_a_recipe_is_asked_for_by_its_path(tmp_path, monkeypatch, ending):
    monkeypatch.chdir(tmp_path)
    config = replace(recipe("ptb-small-al"), recipe="mine", seed=7)
    (tmp_path / f"ptb-small-al{ending}").write_text(json.dumps(to_json(config)))
    assert recipe_config("ptb-small-al") == recipe("ptb-small-al")
    assert recipe_config("./ptb-small-al") == config


@pytest.mark.parametrize("gamma", ["0", "0.0", "-0"])
def test_a_weight_of_zero_takes_the_whole_augmented_term_out(gamma):
    found = with_loss(recipe("ptb-small-real"), Words([], {"loss.gamma": gamma}))
    assert found == replace(recipe("ptb-small-real"), loss=LossConfig())


@pytest.mark.parametrize("options", [{}, {"loss.gamma": "0.3"}, {"loss.gamma": "x"}])
def test_any_other_weight_leaves_the_loss_as_it_is(options):
    assert with_loss(recipe("ptb-small-real"), Words([], options)) == recipe("ptb-small-real")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sed": 3}, "no field 'sed'. Did you mean 'seed'"),
        ({"seed": "3"}, "config.seed must be of type int"),
        ({"seed": -3}, "seed is -3"),
        ({"loss": {"gamma": 1.0}}, "lacks the field"),
    ],
)
def test_a_config_file_with_a_mistake_is_refused(tmp_path, change, told):
    (tmp_path / "a.json").write_text(json.dumps(to_json(recipe("ptb-small-al")) | change))
    with pytest.raises(ConfigError, match=told):
        recipe_config(str(tmp_path / "a.json"))


def test_a_config_file_that_is_missing_is_named():
    with pytest.raises(ConfigError, match=r"config file nowhere\.json does not exist"):
        recipe_config("nowhere.json")


def test_the_switches_are_the_fields_that_are_true_or_false():
    expected = {"model.tied", "model.tied-bias", "model.project", "loss.detach-target", "training.moving-windows"}
    negated = {name.replace(".", ".no-") for name in expected}
    assert switches() == expected | negated | {"help"}


def test_text_files_turn_a_named_corpus_into_text():
    found = with_corpus(recipe("demo-vd"), Words([], FILES))
    assert found.corpus == CorpusConfig(train="a.txt", valid="b.txt", test="c.txt", vocabulary_size=5000)
    assert replace(found, corpus=recipe("demo-vd").corpus) == recipe("demo-vd")


def test_another_named_corpus_replaces_the_files_of_a_text():
    found = with_corpus(recipe("text-small-re"), Words([], {"corpus.name": "ptb"}))
    assert found.corpus == CorpusConfig(name="ptb")


@pytest.mark.parametrize("options", [{}, {"seed": "3"}, {"corpus.name": "ptb"}, {"corpus.vocabulary-size": "9"}])
def test_other_options_leave_the_corpus_to_the_parser(options):
    assert with_corpus(recipe("ptb-small-vd"), Words([], options)) == recipe("ptb-small-vd")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"corpus.train": "a.txt"}, "--corpus.valid, --corpus.test is missing"),
        ({**FILES, "corpus.name": "wikitext-2"}, "has no effect on the corpus 'wikitext-2'"),
        ({"corpus.name": "wikitext2"}, "Did you mean 'wikitext-2'"),
    ],
)
def test_a_corpus_that_cannot_be_is_refused(options, told):
    with pytest.raises(ConfigError, match=told):
        with_corpus(recipe("ptb-small-vd"), Words([], options))


def test_paths_are_made_whole(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/somebody")
    found = with_absolute_paths(CorpusConfig(train="a.txt", valid="/b.txt", test="~/c.txt"))
    assert (found.train, found.valid, found.test) == (str(Path(tmp_path) / "a.txt"), "/b.txt", "/somebody/c.txt")
    assert with_absolute_paths(replace(found, train="~lock.txt")).train == str(Path(tmp_path) / "~lock.txt")
    assert with_absolute_paths(CorpusConfig(name="ptb")) == CorpusConfig(name="ptb")
