from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from support.tiny_run import Silence, quick_config
from tiedlm.evaluation.perplexity import PROTOCOL
from tiedlm.training import loop


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on another text."""
    folder = tmp_path_factory.mktemp("other")
    config = quick_config(folder)
    with (folder / "test.txt").open("a") as file:
        file.write("a dog sees the cat\n")
    return loop.train(config, folder / "run", cache_dir=folder / "cache", display=Silence()).path


def test_the_figures_as_json(tiedlm, tiny):
    answer = tiedlm("analyze", tiny / "run", "--json", "--neighbours", "2")
    found = json.loads(answer.output)
    assert (answer.status, answer.error) == (0, "")
    assert (found["split"], found["protocol"], found["less_first_run"]) == ("test", PROTOCOL, {})
    kept = json.loads(next((tiny / "run").glob("scores-*.json")).read_text())
    run = found["runs"][str(tiny / "run")]
    assert run["score"] == kept["test"]
    assert set(run["probability"]) >= {"<unk>", "target", f"2 nearest by {tiny / 'run'}"}
    assert sum(band["targets"] for band in run["bands"]) == kept["test"]["words"]


def test_the_figures_as_tables(tiedlm, tiny):
    answer = tiedlm("analyze", tiny / "run", "--split", "valid", "--neighbours", "2")
    lines = answer.output.splitlines()
    assert lines[0] == "by frequency of the target"
    assert lines[1].split() == ["run", "ranks", "targets", "nats", "|l|^2", "|w|^2"]
    assert f"mean probability, {tiny / 'run'}" in lines
    assert "split: valid" in lines
    assert lines[-1] == f"protocol: {PROTOCOL}"


def test_a_run_less_itself_is_nothing(tiedlm, tiny, tmp_path):
    shutil.copytree(tiny / "run", tmp_path / "copy")
    found = json.loads(tiedlm("analyze", tiny / "run", tmp_path / "copy", "--json", "--neighbours", "1").output)
    (differences,) = found["less_first_run"].values()
    assert {one["mean"] for one in differences.values() if one} == {0}
    assert (
        f"{tmp_path / 'copy'} less {tiny / 'run'}"
        in tiedlm("analyze", tiny / "run", tmp_path / "copy", "--neighbours", "1").output
    )


def test_runs_on_different_texts_are_refused(tiedlm, tiny, other):
    answer = tiedlm("analyze", tiny / "run", other)
    assert (answer.status, answer.output) == (2, "")
    assert f"{other} and {tiny / 'run'} were trained on different texts" in answer.error


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--neighbours", "0"], "0 neighbours were asked for, but a word has from 1 to"),
        (["--neighbours", "100000"], "100000 neighbours were asked for"),
        (["--split", "tset"], "'tset'"),
        (["--data-dir", "."], "--data-dir has no effect"),
    ],
)
def test_what_cannot_be_done_is_told(tiedlm, tiny, options, told):
    answer = tiedlm("analyze", tiny / "run", *options)
    assert (answer.status, answer.output) == (2, "")
    assert told in answer.error


def test_without_a_run_or_with_a_folder_that_is_none(tiedlm, tmp_path):
    assert "Name the runs to analyze" in tiedlm("analyze").error
    assert str(tmp_path) in tiedlm("analyze", tmp_path).error
