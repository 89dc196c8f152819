from __future__ import annotations

import pytest

from support.finished_run import RECIPE, make_run, scores
from support.invented_analysis import instead_of_measuring
from tiedlm.paper.result import read_result


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    """The runs that are measured, each with the folder of its corpus."""
    return instead_of_measuring(monkeypatch)


def test_a_run_is_published_and_its_folder_is_told(tiedlm, tmp_path):
    answer = tiedlm("publish", make_run(tmp_path / "run").path, "--results", tmp_path / "results")
    assert answer.status == 0
    assert answer.output == f"{tmp_path / 'results' / RECIPE / 'seed-0'}\n"
    assert read_result(tmp_path / "results" / RECIPE / "seed-0").scores == scores()


def test_results_is_the_folder_where_none_is_given(tiedlm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert tiedlm("publish", make_run(tmp_path / "run").path).output == f"results/{RECIPE}/seed-0\n"
    assert (tmp_path / "results" / RECIPE / "seed-0" / "scores.json").is_file()


def test_another_result_is_replaced_on_demand(tiedlm, tmp_path):
    results = ("--results", tmp_path / "results")
    old, new = make_run(tmp_path / "old"), make_run(tmp_path / "new", scored=scores(80.0, 79.0))
    assert tiedlm("publish", old.path, *results).status == 0
    refused = tiedlm("publish", new.path, *results)
    assert refused.status == 2
    assert "holds another result already" in refused.error
    assert read_result(tmp_path / "results" / RECIPE / "seed-0").scores == scores()
    assert tiedlm("publish", new.path, *results, "--replace").status == 0
    assert read_result(tmp_path / "results" / RECIPE / "seed-0").scores == scores(80.0, 79.0)


def test_a_run_of_no_recipe_is_refused(tiedlm, tiny, tmp_path):
    answer = tiedlm("publish", tiny / "run", "--results", tmp_path / "results")
    assert answer.status == 2
    assert answer.error.startswith("tiedlm: error: There is no recipe 'small'.")
    assert not (tmp_path / "results").exists()


def test_the_folder_of_the_corpus_is_passed_on(tiedlm, tmp_path, measured):
    options = ("--results", tmp_path / "results", "--data-dir", tmp_path / "data")
    assert tiedlm("publish", make_run(tmp_path / "run").path, *options).status == 0
    assert measured == [("run", tmp_path / "data")]
