"""From words to values: options, recipes and config files, and the fields of a config that are changed."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tiedlm.cli.arguments import Budget, Directory, Seeds, Switch, base_config, parse, with_overrides
from tiedlm.config import to_json
from tiedlm.data.sources import CorpusConfig
from tiedlm.errors import ConfigError
from tiedlm.recipes import recipe
from tiedlm.runs.config import LossConfig

TEXTS = {"train": "/a.txt", "valid": "/b.txt", "test": "/c.txt"}


@dataclass(frozen=True, kw_only=True)
class Args:
    """What the command is for."""

    data_dir: Directory = None
    """A folder."""
    seeds: Seeds = None
    """Seeds."""
    budget: Budget = None
    """A time."""
    json: Switch = False
    """Print JSON."""


def test_options_are_values_and_none_where_they_are_not_given():
    assert parse(Args, [], "x") == Args()
    argv = ["--data-dir", "d", "--seeds=0-2,5", "--budget", "1h30m", "--json"]
    assert parse(Args, argv, "x") == Args(data_dir=Path("d"), seeds=[0, 1, 2, 5], budget=5400, json=True)


@pytest.mark.parametrize(("text", "seconds"), [("9m", 540), ("90s", 90), ("2h", 7200), (" 1m ", 60)])
def test_a_budget_is_hours_minutes_and_seconds(text, seconds):
    assert parse(Args, ["--budget", text], "x").budget == seconds


@pytest.mark.parametrize(("argv", "message"), [(["--data-dir="], "empty"), (["\x1b[2J"], "\\u001b[2J")])
def test_mistakes_are_printed_and_end_with_status_2(capsys, argv, message):
    with pytest.raises(SystemExit) as end:
        parse(Args, argv, "x")
    output, error = capsys.readouterr()
    assert (end.value.code, output) == (2, "")
    assert message in error
    assert "tiedlm x --help" in error
    assert "\x1b" not in error


@pytest.mark.parametrize("name", ["mine.json", "mine"])
def test_a_config_file_is_named_with_or_without_its_ending(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    config = replace(recipe("ptb-small-al"), recipe="mine", seed=7)
    Path(name).write_text(json.dumps(to_json(config)))
    assert base_config("mine") == config
    Path("ptb-small-al.json").write_text(json.dumps(to_json(config)))
    assert base_config("ptb-small-al") == recipe("ptb-small-al")
    assert base_config("./ptb-small-al") == config


def test_a_weight_of_zero_makes_plain_cross_entropy():
    smoothed = replace(recipe("ptb-small-real"), loss=LossConfig(gamma=1.0, temperature=20.0, label_smoothing=0.1))
    assert with_overrides(smoothed, {"loss": {"gamma": 0.0}}).loss == LossConfig(label_smoothing=0.1)
    with pytest.raises(ConfigError, match="no effect without the augmented term"):
        with_overrides(smoothed, {"loss": {"gamma": 0.0, "temperature": 20.0}})


def test_text_files_or_another_name_replace_the_corpus():
    config = recipe("demo-vd")
    texts = CorpusConfig(**TEXTS, vocabulary_size=5000)
    assert with_overrides(config, {"corpus": dict(TEXTS)}) == replace(config, corpus=texts)
    named = with_overrides(recipe("text-small-re"), {"corpus": {"name": "ptb"}})
    assert named.corpus == CorpusConfig(name="ptb")
    for corpus, message in (
        ({"train": "a.txt"}, "--corpus.valid, --corpus.test is missing"),
        ({**TEXTS, "name": "wikitext-2"}, "has no effect on the corpus 'wikitext-2'"),
        ({"name": "wikitext2"}, "Did you mean 'wikitext-2'"),
    ):
        with pytest.raises(ConfigError, match=message):
            with_overrides(recipe("ptb-small-vd"), {"corpus": corpus})


def test_paths_of_texts_become_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/somebody")
    corpus = {"train": "a.txt", "valid": "~lock.txt", "test": "~/c.txt"}
    texts = with_overrides(recipe("text-small-vd"), {"corpus": corpus}).corpus
    assert (texts.train, texts.valid, texts.test) == (f"{tmp_path}/a.txt", f"{tmp_path}/~lock.txt", "/somebody/c.txt")
