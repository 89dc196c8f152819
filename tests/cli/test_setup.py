"""`tiedlm recipes`, `prepare` and `doctor`. Mistakes: golden/errors.txt."""

import hashlib
import json
from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest
import torch

from tiedlm import __version__
from tiedlm.cli import setup
from tiedlm.cli.setup import Folder
from tiedlm.config import from_json
from tiedlm.data.sources import SOURCES
from tiedlm.native import device
from tiedlm.paper.published import PUBLISHED
from tiedlm.recipes import recipe, recipe_names
from tiedlm.runs.config import RunConfig

SPLITS = ("train", "valid", "test")


def test_every_recipe_is_a_row(tiedlm):
    _, *rows = tiedlm("recipes").output.splitlines()
    assert [row.split()[0] for row in rows] == recipe_names()
    for name, row in zip(recipe_names(), rows, strict=True):
        config = recipe(name)
        assert config.corpus.name in row
        assert config.model.network in row
        assert ("AL" in row) == (config.loss.gamma > 0)
        figure = PUBLISHED[name].test if name in PUBLISHED else None
        assert row.endswith(f" {config.training.epochs}" if figure is None else f" {figure:.1f}")


def test_recipes_as_json_are_whole_configs(tiedlm):
    configs = json.loads(tiedlm("recipes", "--json").output)
    assert {name: from_json(RunConfig, value) for name, value in configs.items()} == {
        name: recipe(name) for name in recipe_names()
    }
    config = json.loads(tiedlm("recipes", "ptb-small-real", "--json").output)
    assert from_json(RunConfig, config) == recipe("ptb-small-real")


@pytest.fixture
def own_texts(tiny):
    return [word for split in SPLITS for word in (f"--corpus.{split}", tiny / f"{split}.txt")]


def test_own_text_is_counted(tiedlm, tiny, own_texts):
    answer = tiedlm("prepare", *own_texts)
    assert answer.status == 0
    values = answer.values()
    assert values["corpus"] == "text"
    words = set((tiny / "train.txt").read_text().split())
    assert values["vocabulary"] == str(len(words) + 2)
    rows = {row.split()[0]: row.split()[1:] for row in answer.output.splitlines()[-3:]}
    for split in SPLITS:
        content = (tiny / f"{split}.txt").read_text()
        lines, count = content.count("\n"), len(content.split()) + content.count("\n")
        unknown = len([word for word in content.split() if word not in words])
        assert rows[split] == [str(lines), str(count), str(unknown), hashlib.sha256(content.encode()).hexdigest()]
        assert len(np.load(f"{values['encoded in']}/{split}.npy")) == count
    assert rows["test"][2] == "1"
    report = json.loads(tiedlm("prepare", "text", *own_texts, "--json", "--corpus.vocabulary-size", 9).output)
    assert report["vocabulary"]["size"] == 9
    assert report["splits"]["train"]["unknown"] > 0


def test_progress_is_on_stderr_and_only_where_there_is_work(tiedlm, tiny, own_texts, tmp_path, monkeypatch):
    monkeypatch.setenv("TIEDLM_CACHE_DIR", str(tmp_path))
    first = tiedlm("prepare", *own_texts)
    assert f"Encoding {tiny / 'train.txt'}" in first.error
    second = tiedlm("prepare", *own_texts)
    assert (second.output, second.error) == (first.output, "")


def test_doctor_reports_what_is_here(tiedlm, tiny, tmp_path, monkeypatch):
    rates = {torch.float32: 80.4, torch.bfloat16: 8.6}
    monkeypatch.setattr(device, "matmul_gflops", rates.__getitem__)
    answer = tiedlm("doctor")
    assert (answer.status, answer.error) == (0, "")
    values = answer.values()
    expected = {"tiedlm": __version__, "torch": torch.__version__, "threads": str(torch.get_num_threads())}
    expected |= {"problems": "none", "float32_gflops": "80", "bfloat16_gflops": "9"}
    assert {name: values[name] for name in expected} == expected
    for text in ("ptb", "wikitext-2", "builtin", "synthetic", str(tiny / "cache"), "TIEDLM_CACHE_DIR"):
        assert text in answer.output
    report = json.loads(tiedlm("doctor", "--json", "--data-dir", tmp_path).output)
    assert report["versions"]["torch"] == torch.__version__
    assert {"name": "data", "path": str(tmp_path), "set_by": "--data-dir"} in report["places"]
    assert report["corpora"]["ptb"] == "not found"
    assert report["problems"] == []


@pytest.mark.parametrize(
    ("error", "message"), [(PackageNotFoundError(), "is not installed"), (ImportError("no libgomp"), "no libgomp")]
)
def test_a_package_that_is_missing_or_broken_is_a_problem(tiedlm, monkeypatch, error, message):
    def version(name):
        if name == "numpy":
            raise error
        return "1"

    monkeypatch.setattr(setup, "version", version)
    answer = tiedlm("doctor")
    assert answer.status == 1
    assert answer.values()["problems"].startswith("numpy ")
    assert message in answer.values()["problems"]


def test_a_folder_is_usable_where_it_can_be_written_or_made(tmp_path):
    assert Folder("runs", tmp_path, "").state().endswith("GB free")
    missing = Folder("runs", tmp_path / "a" / "b", "")
    assert missing.state().startswith("made when needed")
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0o700)
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        assert Folder("runs", path, "").state() == "cannot be written"


def test_corpora_are_found_whole_in_part_or_changed(monkeypatch, tmp_path, data_dir):
    monkeypatch.setenv("TIEDLM_CACHE_DIR", str(tmp_path / "cache"))
    assert setup.corpora(data_dir)["ptb"] == "found, as published"
    states = {"ptb": "not found", "wikitext-2": "not found", "builtin": "made when needed"}
    assert setup.corpora(tmp_path) == states | {"synthetic": "made when needed"}
    names = {split: file.names[-1] for split, file in SOURCES["ptb"].files.items()}
    (tmp_path / names["test"]).symlink_to(data_dir / "ptb" / names["test"])
    assert setup.corpora(tmp_path)["ptb"] == "found in part"
    (tmp_path / names["train"]).write_text("something else")
    assert setup.corpora(tmp_path)["ptb"] == "found, but a file is not as published"
    (tmp_path / "cache" / "builtin-v1-python3").mkdir(parents=True)
    assert setup.corpora(tmp_path)["builtin"] == "made: builtin-v1-python3"
