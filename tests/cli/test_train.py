"""`tiedlm train`: new runs, of one recipe or of many seeds, and their configs. Mistakes: `golden/errors.txt`."""

import json
import statistics
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest

from support.runs import launch_here, make_run
from support.small_text import SMALL, small_config
from tiedlm.cli.arguments import base_config, with_overrides
from tiedlm.cli.main import INTERRUPTED
from tiedlm.config import from_json, to_json
from tiedlm.data.sources import CorpusConfig
from tiedlm.errors import RanksError
from tiedlm.native import device
from tiedlm.nn.config import RHNConfig
from tiedlm.recipes import recipe, recipe_names
from tiedlm.runs.config import LossConfig, RunConfig
from tiedlm.runs.folder import RunFolder
from tiedlm.training import launcher, loop
from tiedlm.training.jobs import JobResult, JobState


def valid(run: Path) -> float:
    return RunFolder.open(run).scores()["valid"]["perplexity"]


def test_from_text_files_to_a_scored_run(tiedlm, texts, tmp_path):
    answer = tiedlm("train", "text-small-real", *texts, "--seed", 3, *SMALL)
    assert (answer.status, answer.error) == (0, "")
    assert answer.output.startswith("run: runs/text-small-real-seed-3\n")
    assert "test perplexity" in answer.output
    config = RunFolder.open(tmp_path / "runs" / "text-small-real-seed-3").config()
    assert (config.recipe, config.seed, config.model.units, config.training.epochs) == ("text-small-real", 3, 8, 1)
    assert config.corpus.train == str(tmp_path / "train.txt")
    scored = tiedlm("score", "runs/text-small-real-seed-3")
    assert scored.values()["perplexity"][:4] in answer.output


def test_a_second_training_starts_from_the_weights_of_a_run(tiedlm, texts, tmp_path):
    line = ["train", "text-small-re", *texts, *SMALL]
    assert tiedlm(*line).status == 0
    other_seed = tiedlm(*line, "--from", "runs/text-small-re-seed-0", "--seed", 4, "--run-dir", "other")
    assert "To use the seed of the first training: --seed 0." in other_seed.error
    assert tiedlm(*line, "--from", "runs/text-small-re-seed-0").error == ""
    parent = RunFolder.open(tmp_path / "runs" / "text-small-re-seed-0-second").record.parent
    assert parent is not None
    assert parent["path"] == str(tmp_path / "runs" / "text-small-re-seed-0")


def test_a_run_may_be_made_in_an_empty_folder_and_nowhere_else(tiedlm, trainings, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    assert tiedlm("train", "ptb-small-re", "--run-dir", run).status == 0
    (tmp_path / "mine").write_text("x")
    answer = tiedlm("train", "ptb-small-re", "--run-dir", tmp_path / "mine")
    assert answer.status == 2
    assert "mine exists and is not a run folder" in answer.error
    with make_run(tmp_path / "finished").lock():
        answer = tiedlm("train", "ptb-small-re", "--run-dir", tmp_path / "finished")
    assert "finished is being trained by" in answer.error
    trainings.assert_called_once()


def test_fields_and_folders_of_the_line_and_no_others_are_changed(tiedlm, trainings, tiny):
    line = ("--loss.gamma", 0.7, "ptb-small-real", "--runtime.threads=1", "--model.no-tied", "--run-dir", "a")
    assert tiedlm("train", *line, "--from", tiny / "run", "--data-dir", "c").status == 0
    config, run_dir = trainings.call_args.args
    original = to_json(recipe("ptb-small-real"))
    assert to_json(config) == original | {
        "loss": original["loss"] | {"gamma": 0.7},
        "runtime": original["runtime"] | {"threads": 1},
        "model": original["model"] | {"tied": False},
    }
    places = (run_dir, trainings.call_args.kwargs["start_from"], trainings.call_args.kwargs["data_dir"])
    assert places == (Path("a"), tiny / "run", Path("c"))


def test_every_recipe_goes_through_the_line_with_only_what_is_given_changed(tiedlm, launched, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = replace(recipe("ptb-small-re"), recipe="mine", seed=7)
    (tmp_path / "mine.json").write_text(json.dumps(to_json(own)))
    line = ["train", *recipe_names(), "mine", "--seeds", "0,3", "--jobs", 5, "--data-dir", "d"]
    assert tiedlm(*line, "--runtime.threads", 7).status == 2  # since none was trained
    [(jobs, options)] = launched
    assert options == {"max_parallel": 5}
    assert [job.run_dir.name for job in jobs] == [f"{n}-seed-{s}" for s in (0, 3) for n in (*recipe_names(), "mine")]
    for job in jobs:
        config = own if job.config.recipe == "mine" else recipe(job.config.recipe)
        if config.corpus.name == "text":  # paths of texts become absolute
            texts = {split: str(tmp_path / getattr(config.corpus, split)) for split in ("train", "valid", "test")}
            config = replace(config, corpus=replace(config.corpus, **texts))
        assert job.config == replace(config, seed=job.config.seed, runtime=replace(config.runtime, threads=7))
        assert (job.data_dir, job.start_from) == (Path("d"), None)


def test_another_kind_of_model_is_trained_resumed_and_scored_from_a_config_file(tiedlm, texts, tmp_path):
    value = to_json(replace(small_config(tmp_path), recipe="rhn"))
    value["model"] = to_json(RHNConfig(tied=True, units=8, depth=3, keep_words=0.8, keep_state=0.7))
    value["training"] |= {"epochs": 2, "learning_rate": 0.3, "weight_decay": 1e-4}
    (tmp_path / "mine.json").write_text(json.dumps(value))
    assert tiedlm("train", "mine.json", "--run-dir", "run", "--training.epochs", 1).status == 0
    assert RunFolder.open(tmp_path / "run").config().model == from_json(RunConfig, value).model
    assert tiedlm("train", "--resume", "run").status == 0
    second = tiedlm("train", "mine.json", "--run-dir", "second", "--from", "run", "--training.epochs", 1)
    assert (second.status, second.error) == (0, "")
    assert float(tiedlm("score", "run").values()["perplexity"]) < 20


@pytest.mark.parametrize(("slowdown", "count"), [(9.8, 1), (1.4, 0)])
def test_a_slow_precision_is_named_once(tiedlm, trainings, launched, monkeypatch, tmp_path, slowdown, count):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(device, "matmul_slowdown", lambda dtype: slowdown)
    for line in (["--seeds", "0-2"], ["--seed", "0"]):
        answer = tiedlm("train", "ptb-small-re", *line, "--runtime.precision", "bfloat16")
        message = "bfloat16 products take about 10 times as long as float32 ones on this processor."
        assert answer.error.count(message) == count
    assert (trainings.call_count, len(launched)) == (1, 1)


@pytest.mark.parametrize("has_run", [True, False])
def test_a_lost_process_and_an_interrupt_say_how_to_resume(tiedlm, tmp_path, monkeypatch, has_run):
    run, resume = tmp_path / "the run", f"tiedlm train --resume '{tmp_path / 'the run'}' --data-dir d"
    for error, status in ((RanksError("Rank 0 of 2 has lost another rank."), 2), (KeyboardInterrupt(), INTERRUPTED)):

        def train(config, run_dir, error=error, **_):
            if has_run:
                make_run(run_dir)
            raise error

        monkeypatch.setattr(loop, "train", train)
        answer = tiedlm("train", "ptb-small-re", "--run-dir", run, "--data-dir", "d")
        assert answer.status == status
        assert (resume in answer.error) == has_run
        if has_run:
            run.rename(tmp_path / f"moved {status}")
    assert ("interrupted before the training began" in answer.error) == (not has_run)


def test_mean_and_sample_deviation_of_all_seeds(tiedlm, texts, tmp_path, monkeypatch):
    monkeypatch.setattr(launcher, "launch", launch_here)
    line = ["train", "text-small-re", "text-small-vd", *texts, *SMALL, "--seeds", "0-2"]
    answer = tiedlm(*line)
    assert (answer.status, answer.error) == (0, "")
    names = [f"text-small-{variant}-seed-{seed}" for variant in ("re", "vd") for seed in (0, 1, 2)]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == names
    for row, variant in zip(answer.output.splitlines()[-2:], ("re", "vd"), strict=True):
        reached = [valid(tmp_path / "runs" / f"text-small-{variant}-seed-{seed}") for seed in (0, 1, 2)]
        assert len(set(reached)) == 3
        each = ", ".join(f"{seed}: {value:.2f}" for seed, value in enumerate(reached))
        mean, sd = f"{statistics.mean(reached):.2f}", f"{statistics.stdev(reached):.2f}"
        assert row.split(maxsplit=4) == [f"text-small-{variant}", "3", mean, sd, each]
    again = tiedlm(*line)
    assert again.status == 0
    assert again.output.splitlines()[-3:] == answer.output.splitlines()[-3:]


def test_one_seed_has_no_deviation_and_one_that_failed_does_not_count(tiedlm, texts, tmp_path, monkeypatch):
    def launch(jobs, **options):
        failed = JobResult(job=jobs[1], state=JobState.FAILED, reason="The loss is nan.", log=Path("a.log"))
        return [*launch_here(jobs[:1]), failed]

    monkeypatch.setattr(launcher, "launch", launch)
    answer = tiedlm("train", "text-small-re", *texts, *SMALL, "--seeds", "4,2")
    assert answer.status == 2
    reached = f"{valid(tmp_path / 'runs' / 'text-small-re-seed-4'):.2f}"
    assert answer.output.splitlines()[-1].split() == ["text-small-re", "1", reached, "-", "4:", reached]
    for text in ("1 of 2 trainings are not finished", "seed-2 failed: The loss is nan.", "Logs: a.log", "same command"):
        assert text in answer.error


def test_an_interrupt_of_many_seeds_says_that_the_same_command_resumes(tiedlm, monkeypatch):
    monkeypatch.setattr(launcher, "launch", Mock(side_effect=KeyboardInterrupt))
    answer = tiedlm("train", "ptb-small-re", "--seeds", "0-1")
    assert (answer.status, answer.output) == (INTERRUPTED, "")
    assert "Run the same command again to resume." in answer.error


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
