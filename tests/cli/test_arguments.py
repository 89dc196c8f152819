"""The config of a recipe or a config file, and its fields that are changed. Mistakes: golden/errors.txt."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tiedlm.cli.arguments import base_config, with_overrides
from tiedlm.config import to_json
from tiedlm.data.sources import CorpusConfig
from tiedlm.recipes import recipe
from tiedlm.runs.config import LossConfig


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


def test_text_files_or_another_name_replace_the_corpus():
    config = recipe("demo-vd")
    texts = {"train": "/a.txt", "valid": "/b.txt", "test": "/c.txt"}
    own = CorpusConfig(**texts, vocabulary_size=5000)
    assert with_overrides(config, {"corpus": texts}) == replace(config, corpus=own)
    named = with_overrides(recipe("text-small-re"), {"corpus": {"name": "ptb"}})
    assert named.corpus == CorpusConfig(name="ptb")


def test_paths_of_texts_become_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/somebody")
    corpus = {"train": "a.txt", "valid": "~lock.txt", "test": "~/c.txt"}
    texts = with_overrides(recipe("text-small-vd"), {"corpus": corpus}).corpus
    assert (texts.train, texts.valid, texts.test) == (f"{tmp_path}/a.txt", f"{tmp_path}/~lock.txt", "/somebody/c.txt")
