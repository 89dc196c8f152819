"""What is refused before a process starts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from support.finished_run import environment, make_run, recipe_config
from tiedlm.checkpoint.folder import RunFolder
from tiedlm.config import to_json
from tiedlm.data.corpus import prepare
from tiedlm.errors import ArgumentError, ConfigError, CorpusError, RunError
from tiedlm.launching.checks import check_jobs, prepare_corpora


def begun(job, *, parent=None, corpus=None, **changes):
    """A run folder with the job's config, up to the changes."""
    config = json.dumps(to_json(replace(job.config, **changes))).encode()
    told = environment() | {"parent": parent} | ({} if corpus is None else {"corpus": corpus.provenance})
    return RunFolder.create(job.run_dir, {"config": config, "environment": json.dumps(told).encode()})


def test_new_jobs_and_their_own_runs_pass(make_job):
    jobs = [make_job("a"), make_job("b", seed=1), make_job("c", start_from="a")]
    begun(jobs[1])
    check_jobs(jobs)
    begun(jobs[2], parent={"path": "a"})
    check_jobs(jobs)


def test_an_unknown_recipe_is_refused(make_job):
    with pytest.raises(ConfigError, match="There is no recipe 'small'"):
        check_jobs([replace(make_job("a"), config_file=None)])


def test_no_job_and_two_of_one_folder_are_refused(make_job):
    with pytest.raises(ArgumentError, match="nothing to train"):
        check_jobs([])
    twin = replace(make_job("a", seed=1), run_dir=make_job("b").run_dir / ".." / "a")
    with pytest.raises(ArgumentError, match="2 trainings are to go to one run folder"):
        check_jobs([make_job("a"), twin])


def test_a_run_of_another_config_is_refused_with_what_differs(make_job):
    job = make_job("a")
    begun(job, loss=replace(job.config.loss, gamma=0.25))
    with pytest.raises(RunError, match=r"a run of another config: loss\.gamma is 0\.25 there and 0\.5 here\. Remove"):
        check_jobs([make_job("b"), job])


def test_a_field_that_came_later_is_told_with_the_value_that_a_run_without_it_has(make_job):
    job = make_job("a")
    begun(job)
    moving = replace(job.config, training=replace(job.config.training, moving_windows=True))
    with pytest.raises(RunError, match=r"training\.moving_windows is False there and True here\."):
        check_jobs([replace(job, config=moving)])


def test_a_config_of_a_newer_version_is_refused_with_its_run(make_job):
    job = make_job("a")
    RunFolder.create(job.run_dir, {"config": json.dumps(to_json(job.config) | {"more": 1}).encode()})
    with pytest.raises(ConfigError, match=r"a: config has no field 'more'"):
        check_jobs([job])


def test_first_and_second_trainings_are_not_mixed_up(make_job):
    first, second = make_job("a"), make_job("b", start_from="a")
    begun(first, parent={"path": "z"})
    with pytest.raises(RunError, match="a holds a second training, but one from random weights is asked for"):
        check_jobs([first])
    begun(second)
    with pytest.raises(RunError, match="b holds one from random weights, but a second training is asked for"):
        check_jobs([second])


def test_a_run_to_start_from_that_nobody_makes_is_refused(make_job):
    with pytest.raises(RunError, match="There is no run folder"):
        check_jobs([make_job("b", start_from="a")])


def test_what_is_no_run_folder_is_refused_and_kept(make_job):
    job = make_job("a")
    job.run_dir.mkdir()
    (job.run_dir / "mine").write_text("x")
    with pytest.raises(RunError):
        check_jobs([job])
    assert [path.name for path in job.run_dir.iterdir()] == ["mine"]


def test_a_finished_run_passes(tmp_path, make_job):
    job = replace(make_job("a"), config=recipe_config())
    make_run(job.run_dir)
    check_jobs([job])


def test_a_corpus_is_prepared_once_for_all(make_job, monkeypatch):
    asked = []
    monkeypatch.setattr("tiedlm.data.corpus.prepare", lambda corpus, **options: asked.append((corpus, options)))
    jobs = [make_job("a"), make_job("b", seed=1), replace(make_job("c"), data_dir=Path("data"))]
    prepare_corpora(jobs, print)
    corpus = jobs[0].config.corpus
    assert asked == [(corpus, {"data_dir": folder, "progress": print}) for folder in (None, Path("data"))]


def test_runs_that_are_begun_must_be_of_the_text_that_is_found(make_job, tmp_path):
    jobs = [make_job("a"), make_job("b", seed=1)]
    begun(jobs[0], corpus=prepare(jobs[0].config.corpus))
    prepare_corpora(jobs, print)
    with (tmp_path / "valid.txt").open("a") as text:
        text.write("the cat sees a tree\n")
    with pytest.raises(RunError, match=r"The valid text of .*valid\.txt, has changed since \S*a was trained"):
        prepare_corpora(jobs, print)


def test_a_text_that_is_missing_is_told(make_job, tmp_path):
    job = make_job("a")
    (tmp_path / "valid.txt").unlink()
    with pytest.raises(CorpusError, match=r"valid\.txt"):
        prepare_corpora([job], print)
