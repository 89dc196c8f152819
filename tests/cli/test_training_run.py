from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from support.small_text import small_config
from tiedlm.checkpoint.folder import RunFolder
from tiedlm.cli import training_run
from tiedlm.cli.main import INTERRUPTED
from tiedlm.config import to_json
from tiedlm.errors import RanksError, RunError
from tiedlm.native import device as native_device
from tiedlm.recipes import recipe
from tiedlm.training import loop

CONFIG = recipe("ptb-small-re")


@pytest.fixture(autouse=True)
def kept(monkeypatch):
    """Notes where the process was told to keep its memory, which would be so for all tests after it."""
    found = []
    monkeypatch.setattr(native_device, "keep_freed_memory", lambda: found.append(True))
    return found


@pytest.fixture
def calls(monkeypatch):
    """Keeps what the loop is asked for; it makes a run folder and is then interrupted."""
    found = []

    def train(config, run_dir, **options):
        found.append(("train", config, run_dir, options))
        RunFolder.create(run_dir, {"config": json.dumps(to_json(config)).encode()})
        raise KeyboardInterrupt

    def resume(run_dir, **options):
        found.append(("resume", run_dir, options))
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "train", train)
    monkeypatch.setattr(loop, "resume", resume)
    return found


def test_an_interrupt_says_how_to_go_on(tmp_path, calls, capsys):
    run, data = tmp_path / "the run", tmp_path / "data"
    status = training_run.begin(CONFIG, run_dir=run, start_from=None, data_dir=data)
    command = f"tiedlm train --resume '{run}' --data-dir {data}"
    assert status == INTERRUPTED
    assert command in capsys.readouterr().err
    assert training_run.go_on(run, CONFIG, data) == INTERRUPTED
    assert command in capsys.readouterr().err
    assert [call[0] for call in calls] == ["train", "resume"]
    assert calls[0][1:3] == (CONFIG, run)
    assert calls[0][3]["data_dir"] == calls[1][2]["data_dir"] == data


def test_a_rank_that_is_lost_says_how_to_go_on(tmp_path, monkeypatch):
    def train(config, run_dir, **options):
        if options["start_from"] is None:
            RunFolder.create(run_dir, {"config": json.dumps(to_json(config)).encode()})
        raise RanksError("Rank 0 of 2 has lost another rank (closed).")

    monkeypatch.setattr(loop, "train", train)
    with pytest.raises(RanksError) as raised:
        training_run.begin(CONFIG, run_dir=tmp_path / "run", start_from=None, data_dir=None)
    assert str(raised.value) == (
        "Rank 0 of 2 has lost another rank (closed). Go on from the state that was saved last: "
        f"tiedlm train --resume {tmp_path / 'run'}"
    )
    with pytest.raises(RanksError, match=r"another rank \(closed\)\.$"):
        training_run.begin(CONFIG, run_dir=tmp_path / "none", start_from=tmp_path / "run", data_dir=None)


def test_an_interrupt_before_there_is_a_run_says_so(tmp_path, monkeypatch, capsys):
    def train(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "train", train)
    run = tmp_path / "run"
    assert training_run.begin(CONFIG, run_dir=run, start_from=None, data_dir=None) == INTERRUPTED
    told = capsys.readouterr().err
    assert "interrupted before the training began" in told
    assert "--resume" not in told


def test_the_default_run_folder_has_recipe_and_seed_in_its_name(monkeypatch):
    monkeypatch.setenv("TIEDLM_RUNS_DIR", "somewhere")
    config = replace(CONFIG, seed=4)
    assert training_run.default_run_dir(config, second=False) == Path("somewhere/ptb-small-re-seed-4")
    assert training_run.default_run_dir(config, second=True) == Path("somewhere/ptb-small-re-seed-4-second")


@pytest.mark.parametrize(("device", "times"), [("cpu", 2), ("cuda", 0)])
def test_freed_memory_is_kept_where_the_training_is_the_cpu_s(tmp_path, calls, kept, device, times):
    config = replace(CONFIG, runtime=replace(CONFIG.runtime, device=device))
    training_run.begin(config, run_dir=tmp_path / "run", start_from=None, data_dir=None)
    training_run.go_on(tmp_path / "run", config, None)
    assert len(calls) == 2
    assert len(kept) == times


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_a_slow_precision_is_told_where_a_training_begins(tmp_path, calls, monkeypatch, capsys, precision):
    monkeypatch.setattr(native_device, "matmul_slowdown", lambda dtype: 9.8)
    config = replace(CONFIG, runtime=replace(CONFIG.runtime, precision=precision))
    training_run.begin(config, run_dir=tmp_path / "run", start_from=None, data_dir=None)
    assert ("--runtime.precision float32 is the faster" in capsys.readouterr().err) == (precision == "bfloat16")
    training_run.go_on(tmp_path / "run", config, None)  # it keeps its precision
    assert "faster" not in capsys.readouterr().err
    assert len(calls) == 2


def test_an_empty_folder_may_become_the_run(tmp_path, calls):
    (tmp_path / "run").mkdir()
    training_run.begin(CONFIG, run_dir=tmp_path / "run", start_from=None, data_dir=None)
    assert calls


def test_a_run_in_the_place_of_the_run_can_go_on(tmp_path, calls):
    run = RunFolder.create(tmp_path / "run", {}).path
    told = (
        rf"run exists already\. Go on with it: `tiedlm train --resume {run}`\. Or train into another folder: --run-dir"
    )
    with pytest.raises(RunError, match=told):
        training_run.begin(CONFIG, run_dir=run, start_from=None, data_dir=None)
    assert not calls


@pytest.mark.parametrize("name", ["a file", "a folder"])
def test_what_is_no_run_in_the_place_of_the_run_is_named_and_cannot_go_on(tmp_path, calls, name):
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a folder" / "mine").write_text("x")
    (tmp_path / "a file").write_text("x")
    with pytest.raises(RunError, match=rf"{name} exists already\. It is no run .* --run-dir DIR\.$") as raised:
        training_run.begin(CONFIG, run_dir=tmp_path / name, start_from=None, data_dir=None)
    assert "--resume" not in str(raised.value)
    assert not calls


@pytest.mark.parametrize(
    ("recipe_name", "seed", "told"), [("ptb-small-re", 3, True), ("ptb-small-re", 0, False), ("other", 3, False)]
)
def test_a_second_training_with_another_seed_is_said_to_have_no_result(
    tmp_path, calls, capsys, recipe_name, seed, told
):
    first = json.dumps(to_json(replace(CONFIG, recipe=recipe_name, seed=seed))).encode()
    RunFolder.create(tmp_path / "first", {"config": first})
    training_run.begin(CONFIG, run_dir=tmp_path / "run", start_from=tmp_path / "first", data_dir=None)
    expected = (
        f"tiedlm: {tmp_path / 'first'} has seed 3, but this training has seed 0. A result is of one seed, so this run "
        "cannot be published. To have the seed of the first: --seed 3.\n"
    )
    assert (expected in capsys.readouterr().err) == told
    assert len(calls) == 1


def test_the_config_of_a_run(tmp_path):
    config = small_config(tmp_path)
    RunFolder.create(tmp_path / "run", {"config": json.dumps(to_json(config)).encode()})
    assert training_run.config_of(tmp_path / "run") == config


def test_a_real_interrupt_ends_with_130_and_the_run_goes_on(tmp_path, tiedlm):
    config = small_config(tmp_path)
    config = replace(config, training=replace(config.training, epochs=10_000))
    (tmp_path / "long.json").write_text(json.dumps(to_json(config)))
    command = [sys.executable, "-m", "tiedlm.cli.main", "train", tmp_path / "long.json", "--run-dir", tmp_path / "run"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("epoch 1/"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, error = process.communicate()
    assert process.returncode == INTERRUPTED
    assert error.startswith("tiedlm: interrupted; what was done is saved. Go on with it: tiedlm train --resume ")
    progress = json.loads(next((tmp_path / "run").glob("progress-*.json")).read_text())
    assert progress["epoch"] > 1
    assert tiedlm("compare", tmp_path / "run").status == 0
