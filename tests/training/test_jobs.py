"""Jobs: their commands, where their runs are, what is refused before a process starts, and lists of seeds."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from support.runs import CORPUS, journal, make_run, write_run
from tiedlm.data.corpus import prepare
from tiedlm.errors import ArgumentError, CorpusError, RunError
from tiedlm.runs.folder import Progress
from tiedlm.training.jobs import EpochSummary, check_jobs, parse_seeds, prepare_corpora

PROGRAM = [sys.executable, "-m", "tiedlm", "train"]


def begun(job, *, parent=None, corpus=None, **changes):
    """A run folder with the job's config, up to the changes."""
    corpus = CORPUS if corpus is None else corpus.provenance
    parent = parent and {"recipe": "small", "seed": 0, "weights_sha256": "ab" * 32, **parent}
    return write_run(job.run_dir, replace(job.config, **changes), parent=parent, corpus=corpus)


def test_a_new_job_begins_from_its_config_file(make_job, tmp_path):
    job, file = make_job("a run"), tmp_path / ".logs" / "a run.json"
    assert job.config_file == file
    assert job.command() == [*PROGRAM, str(file), "--run-dir", str(job.run_dir)]
    second = replace(make_job("b", start_from="a run"), data_dir=Path("data"))
    assert second.command()[4:] == [
        str(tmp_path / ".logs" / "b.json"),
        *("--run-dir", str(second.run_dir), "--from", str(job.run_dir), "--data-dir", "data"),
    ]


def test_a_job_that_is_begun_resumes_and_one_that_is_scored_is_finished(make_job):
    job = replace(make_job("run"), data_dir=Path("data"))
    assert not job.is_begun()
    job.run_dir.mkdir()
    assert not job.is_begun()
    assert not job.is_finished()
    begun(job)
    assert job.is_begun()
    assert not job.is_finished()
    assert job.command() == [*PROGRAM, "--resume", str(job.run_dir), "--data-dir", "data"]
    done = make_job("done")
    make_run(done.run_dir)
    assert done.is_finished()


def test_no_job_and_two_of_one_folder_are_refused(make_job):
    with pytest.raises(ArgumentError, match="nothing to train"):
        check_jobs([])
    twin = replace(make_job("a", seed=1), run_dir=make_job("b").run_dir / ".." / "a")
    with pytest.raises(ArgumentError, match="2 trainings are to go to one run folder"):
        check_jobs([make_job("a"), twin])


def test_a_run_of_another_config_is_refused_with_what_differs(make_job):
    job = make_job("a")
    begun(job, loss=replace(job.config.loss, gamma=0.25))
    moving = replace(job.config, training=replace(job.config.training, moving_windows=True))
    message = (
        r"a run of another config: loss\.gamma is 0\.25 there and 0\.5 here; "
        r"training\.moving_windows is False there and True here\. Remove"
    )
    with pytest.raises(RunError, match=message):
        check_jobs([make_job("b"), replace(job, config=moving)])


def test_first_and_second_trainings_are_not_mixed_up(make_job):
    first, second = make_job("a"), make_job("b", start_from="a")
    begun(first, parent={"path": "z"})
    with pytest.raises(RunError, match="a holds a second training, but one from random weights is requested"):
        check_jobs([first])
    begun(second)
    with pytest.raises(RunError, match="b holds one from random weights, but a second training is requested"):
        check_jobs([second])


def test_a_run_to_start_from_that_nobody_trains_is_refused(make_job):
    with pytest.raises(RunError, match="There is no run folder"):
        check_jobs([make_job("b", start_from="a")])


def test_each_corpus_is_prepared_once(make_job, monkeypatch):
    calls = []
    monkeypatch.setattr("tiedlm.data.corpus.prepare", lambda corpus, **options: calls.append((corpus, options)))
    jobs = [make_job("a"), make_job("b", seed=1), replace(make_job("c"), data_dir=Path("data"))]
    prepare_corpora(jobs, print)
    corpus = jobs[0].config.corpus
    assert calls == [(corpus, {"data_dir": folder, "progress": print}) for folder in (None, Path("data"))]


def test_a_text_that_has_changed_since_a_run_began_or_is_missing_is_refused(make_job, tmp_path):
    jobs = [make_job("a"), make_job("b", seed=1)]
    begun(jobs[0], corpus=prepare(jobs[0].config.corpus))
    prepare_corpora(jobs, print)
    with (tmp_path / "valid.txt").open("a") as text:
        text.write("the cat sees a tree\n")
    with pytest.raises(RunError, match=r"The valid text of .*valid\.txt, has changed since \S*a was trained"):
        prepare_corpora(jobs, print)
    (tmp_path / "valid.txt").unlink()
    with pytest.raises(CorpusError, match=r"valid\.txt"):
        prepare_corpora(jobs, print)


def test_a_summary_is_of_the_last_epoch_and_the_best_of_all(make_job):
    assert EpochSummary.of_run(begun(make_job("new")).path) is None
    events = journal(3)
    next(event for event in events if event.get("valid_perplexity") == 198.0)["valid_perplexity"] = 85.0
    folder = write_run(make_job("a").run_dir, events=events)
    with folder.lock():
        folder.log("epoch", Progress(epoch=4))  # not saved, so it does not count
    summary = EpochSummary.of_run(folder.path)
    assert summary is not None
    assert (summary.epoch, summary.train_perplexity, summary.words_per_second) == (3, 207.0, 5e5)
    assert (summary.valid_perplexity, summary.best_valid_perplexity) == (197.0, 85.0)
    # it ended at 7.5, and an epoch takes 2 seconds
    assert summary.seconds_left(10, since_unix=0.0, now_unix=8.5) == 7 * 2 - 1
    assert summary.seconds_left(10, since_unix=9000.0, now_unix=9005.0) == 7 * 2 - 5
    assert summary.seconds_left(4, since_unix=0.0, now_unix=5000.0) == 0


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("3", [3]),
        ("0-4", [0, 1, 2, 3, 4]),
        ("0,2,5", [0, 2, 5]),
        ("5, 0-2", [5, 0, 1, 2]),
        ("7-7", [7]),
        ("0-999", list(range(1000))),
    ],
)
def test_a_list_of_seeds_is_read_in_its_order(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "4-0", "0..4", "0 to 4", "0–4", "0-", "0,,2", "0;2", "[0, 2]", "-1", "1.5", "1,1,2", "0-3,2", "٣"),
        *("0-1000", "0-999,1000", "0-999999999999999999", "9" * 5000),
    ],
)
def test_another_list_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ArgumentError, match=r"is not a list of seeds\. Write up to 1,000 different seeds .* 0-4 or"):
        parse_seeds(text)
