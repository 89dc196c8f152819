from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch

from tiedlm.cli import examination
from tiedlm.cli.examination import Place
from tiedlm.data.sources import SOURCES
from tiedlm.native import device as native_device


def test_versions_are_those_that_are_installed():
    found = examination.versions()
    assert set(examination.PACKAGES) < set(found)
    assert examination.problems(found, []) == []


@pytest.mark.parametrize(
    ("error", "told"), [(PackageNotFoundError(), "is not installed"), (ImportError("no libgomp"), "no libgomp")]
)
def test_a_package_that_is_missing_or_broken_is_a_problem(monkeypatch, error, told):
    def version(name):
        if name == "numpy":
            raise error
        return "1"

    monkeypatch.setattr(examination, "version", version)
    (problem,) = examination.problems(examination.versions(), [])
    assert problem.startswith("numpy ")
    assert told in problem


def test_places_follow_options_and_variables(monkeypatch, tmp_path):
    monkeypatch.setenv("TIEDLM_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TIEDLM_RUNS_DIR", raising=False)
    data, cache, runs = examination.places(Path("mine"))
    assert (data.path, data.set_by) == (Path("mine"), "--data-dir")
    assert (cache.path, cache.set_by) == (tmp_path, "TIEDLM_CACHE_DIR")
    assert (runs.path, runs.set_by) == (Path("runs"), "default; TIEDLM_RUNS_DIR sets it")


def test_a_folder_that_is_missing_is_made_when_needed(tmp_path):
    assert Place("runs", tmp_path, "").row()[3].endswith("GB free")
    missing = Place("runs", tmp_path / "a" / "b", "")
    assert missing.is_usable()
    assert missing.row()[3].startswith("made when needed")
    assert not (tmp_path / "a").exists()


def test_a_file_where_a_folder_should_be_is_a_problem(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0o700)
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        place = Place("runs", path, "TIEDLM_RUNS_DIR")
        assert not place.is_usable()
        assert place.row()[3] == "cannot be written"
        assert examination.problems({}, [place]) == [f"{path} cannot be written; TIEDLM_RUNS_DIR"]


@pytest.mark.skipif(os.geteuid() == 0, reason="an administrator may write anywhere")
def test_a_folder_that_may_not_be_written_is_a_problem(tmp_path):
    tmp_path.chmod(0o500)
    assert not Place("runs", tmp_path / "runs", "").is_usable()


def test_corpora_are_found_in_whole_in_part_or_damaged(monkeypatch, tmp_path, data_dir):
    monkeypatch.setenv("TIEDLM_CACHE_DIR", str(tmp_path / "cache"))
    assert examination.corpora(data_dir)["ptb"] == "found, as published"
    assert examination.corpora(tmp_path) == {
        "ptb": "not found",
        "wikitext-2": "not found",
        "builtin": "made when needed",
        "synthetic": "made when needed",
    }
    names = {split: file.names[-1] for split, file in SOURCES["ptb"].files.items()}
    (tmp_path / names["test"]).symlink_to(data_dir / "ptb" / names["test"])
    assert examination.corpora(tmp_path)["ptb"] == "found in part"
    (tmp_path / names["train"]).write_text("something else")
    assert examination.corpora(tmp_path)["ptb"] == "found, but a file is not as published"
    (tmp_path / "cache" / "builtin-v1-python3").mkdir(parents=True)
    assert examination.corpora(tmp_path)["builtin"] == "made: builtin-v1-python3"


def test_the_machine_s_products_have_a_rate_for_each_type(monkeypatch):
    rates = {torch.float32: 80.4, torch.bfloat16: 8.6}
    monkeypatch.setattr(native_device, "matmul_gflops", rates.__getitem__)
    found = examination.machine()
    assert (found["float32_gflops"], found["bfloat16_gflops"]) == (80, 9)
