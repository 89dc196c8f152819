"""Many seeds by one command: which runs are asked for, and the mean and spread of what they reach."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from support.launch_here import launch_here
from support.small_text import SMALL, small_config
from tiedlm.cli import train_seeds
from tiedlm.cli.main import INTERRUPTED
from tiedlm.config import to_json
from tiedlm.launching import Outcome, State
from tiedlm.native import device as native_device
from tiedlm.recipes import recipe


@pytest.fixture
def asked(monkeypatch):
    """Keeps the jobs that would be launched; none is."""
    calls = []

    def launch(jobs, **options):
        calls.append((jobs, options))
        return [Outcome(job=job, state=State.STOPPED, reason="kept") for job in jobs]

    monkeypatch.setattr(train_seeds, "launch", launch)
    return calls


def valid(run: Path) -> float:
    [scores] = run.glob("scores-*.json")
    return json.loads(scores.read_text())["valid"]["perplexity"]


def test_mean_and_sample_deviation_of_all_seeds(tiedlm, texts, tmp_path, monkeypatch):
    monkeypatch.setattr(train_seeds, "launch", launch_here)
    arguments = ["train", "text-small-re", "text-small-vd", *texts, *SMALL, "--seeds", "0-2"]
    answer = tiedlm(*arguments)
    assert (answer.status, answer.error) == (0, "")
    names = [f"text-small-{variant}-seed-{seed}" for variant in ("re", "vd") for seed in (0, 1, 2)]
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == names
    for line, variant in zip(answer.output.splitlines()[-2:], ("re", "vd"), strict=True):
        reached = [valid(tmp_path / "runs" / f"text-small-{variant}-seed-{seed}") for seed in (0, 1, 2)]
        assert len(set(reached)) == 3
        each = ", ".join(f"{seed}: {value:.2f}" for seed, value in enumerate(reached))
        mean, spread = f"{statistics.mean(reached):.2f}", f"{statistics.stdev(reached):.2f}"
        assert line.split(maxsplit=4) == [f"text-small-{variant}", "3", mean, spread, each]
    again = tiedlm(*arguments)
    assert again.status == 0
    assert again.output.splitlines()[-3:] == answer.output.splitlines()[-3:]


@pytest.mark.parametrize(("precision", "times"), [("bfloat16", 1), ("float32", 0)])
def test_a_slow_precision_is_told_once_for_all_seeds(tiedlm, texts, asked, monkeypatch, precision, times):
    monkeypatch.setattr(native_device, "matmul_slowdown", lambda dtype: 9.8)
    answer = tiedlm("train", "text-small-re", *texts, *SMALL, "--seeds", "0-2", "--runtime.precision", precision)
    assert answer.error.count("--runtime.precision float32 is the faster choice here.") == times
    assert len(asked) == 1


def test_one_seed_has_no_spread_and_one_that_failed_is_not_counted(tiedlm, texts, tmp_path, monkeypatch):
    def launch(jobs, **options):
        failed = Outcome(job=jobs[1], state=State.FAILED, reason="The loss is nan.", log=Path("a.log"))
        return [*launch_here(jobs[:1]), failed]

    monkeypatch.setattr(train_seeds, "launch", launch)
    answer = tiedlm("train", "text-small-re", *texts, *SMALL, "--seeds", "4,2")
    assert answer.status == 2
    reached = valid(tmp_path / "runs" / "text-small-re-seed-4")
    assert answer.output.splitlines()[-1].split() == [
        "text-small-re",
        "1",
        f"{reached:.2f}",
        "-",
        "4:",
        f"{reached:.2f}",
    ]
    for told in ("1 of 2 trainings are not finished", "seed-2 failed: The loss is nan.", "Logs: a.log", "same command"):
        assert told in answer.error


def test_every_recipe_with_every_seed_changed_alike(tiedlm, asked, tmp_path, monkeypatch):
    monkeypatch.setenv("TIEDLM_RUNS_DIR", str(tmp_path))
    answer = tiedlm(
        "train", "ptb-small-al", "--loss.gamma", 0.7, "ptb-small-real", "--seeds", "0,3", "--jobs", 5, "--data-dir", "d"
    )
    assert answer.status == 2  # since none was trained
    [(jobs, options)] = asked
    assert options == {"slots": 5}
    assert [job.run_dir for job in jobs] == [
        tmp_path / f"ptb-small-{variant}-seed-{seed}" for seed in (0, 3) for variant in ("al", "real")
    ]
    for job in jobs:
        original = recipe(job.config.recipe)
        assert job.config == replace(original, seed=job.config.seed, loss=replace(original.loss, gamma=0.7))
        assert (job.data_dir, job.config_file, job.start_from) == (Path("d"), None, None)


def test_a_config_file_is_a_recipe(tiedlm, asked, tmp_path):
    config = small_config(tmp_path)
    (tmp_path / "mine.json").write_text(json.dumps(to_json(config)))
    tiedlm("train", tmp_path / "mine.json", "--seeds", "1")
    [([job], _)] = asked
    assert (job.config, job.config_file) == (replace(config, seed=1), tmp_path / "mine.json")


def test_an_interrupt_says_that_the_same_command_goes_on(tiedlm, monkeypatch):
    def launch(jobs, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(train_seeds, "launch", launch)
    answer = tiedlm("train", "ptb-small-re", "--seeds", "0-1")
    assert (answer.status, answer.output) == (INTERRUPTED, "")
    assert "the same command goes on with it" in answer.error


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["ptb-small-re", "--seeds", "4-0"], "runs down. Did you mean 0-4?"),
        (["ptb-small-re", "--seeds"], "Missing value"),
        (["ptb-small-re", "--seeds="], "is not readable"),
        (["--seeds", "0-4"], "Name the recipe to train"),
        (["ptb-small-re", "ptb-small-rael", "--seeds", "0"], "Did you mean 'ptb-small-real'?"),
        (["ptb-small-re", "ptb-small-re", "--seeds", "0"], "'ptb-small-re' stands there twice"),
        (
            ["ptb-small-re", "--seeds", "0", "--seed", "1"],
            "--seed does not go with --seeds: put the seed into the list",
        ),
        (["--seeds", "0", "--resume", "x"], "--resume does not go with --seeds: the same command"),
        (["ptb-small-re", "--seeds", "0", "--run-dir=x"], "--run-dir does not go with --seeds: each run has a folder"),
        (["ptb-small-re", "--seeds", "0", "--from", "x"], "--from does not go with --seeds: begin second trainings"),
        (["ptb-small-re", "--seed", "0", "--jobs", "2"], "--jobs has no effect without --seeds"),
        (["ptb-small-re", "--seeds", "0", "--jobs", "two"], "--jobs"),
        (["ptb-small-re", "--seeds", "0", "--loss.gama", "1"], "--loss.gamma"),
        (["ptb-small-re", "--seed", "0-4"], "--seed"),
        (["ptb-small-re", "--sedes", "0-4"], "--seeds"),
        (["ptb-small-re", "--seeds", "0", "--loss.temperature", "2"], "no effect"),
    ],
)
def test_mistakes_are_told_before_anything_is_done(tiedlm, asked, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    answer = tiedlm("train", *arguments)
    assert (answer.status, answer.output, asked, list(tmp_path.iterdir())) == (2, "", [], [])
    assert answer.error.startswith("tiedlm: error: ")
    assert told in answer.error


def test_no_slot_is_an_error_too(tiedlm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = tiedlm("train", "ptb-small-re", "--seeds", "0", "--jobs", "0")
    assert (answer.status, list(tmp_path.iterdir())) == (2, [])
    assert "0 trainings at once were asked for" in answer.error


def test_the_help_tells_of_it(tiedlm):
    for arguments in (["--help"], ["ptb-small-re", "--seeds", "0-1", "--help"]):
        answer = tiedlm("train", *arguments)
        assert answer.status == 0
        assert "--seeds SEEDS" in answer.output
