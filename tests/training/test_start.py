"""How a training begins, resumes under other conditions and is extended, and what is recorded of the machine."""

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch

from support.files import files
from support.runs import SCORES, Recorder
from tiedlm.data.corpus import prepare
from tiedlm.errors import ConfigError, CorpusError, RunError
from tiedlm.nn.model import LanguageModel
from tiedlm.runs.config import Precision, RunConfig, RuntimeConfig
from tiedlm.runs.folder import Progress, RunFolder
from tiedlm.training import start
from tiedlm.training.loop import resume, train
from tiedlm.training.start import commit, create_run, describe, extend_run, restore_run


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """PyTorch's threads as they would be set; they are left alone."""
    threads = [torch.get_num_threads()]
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    return threads


def test_initial_weights_depend_on_the_seed_alone(config: RunConfig, tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = create_run(config, tmp_path / "first").read("state")
    torch.manual_seed(2)
    assert create_run(config, tmp_path / "again").read("state") == first
    assert create_run(replace(config, seed=config.seed + 1), tmp_path / "other").read("state") != first


@pytest.mark.parametrize("tied", [True, False])
def test_a_bias_from_the_unigrams_starts_there_and_nothing_else(config: RunConfig, tmp_path: Path, tied: bool) -> None:
    model = replace(config.model, tied=tied, tied_bias=tied)
    plain = restore_run(create_run(replace(config, model=model), tmp_path / "zero"))
    state = restore_run(create_run(replace(config, model=replace(model, unigram_bias=True)), tmp_path / "unigram"))
    counts = torch.tensor(state.corpus.vocabulary.counts) + 0.5
    assert state.model.bias is not None
    torch.testing.assert_close(state.model.bias.detach().softmax(0), (counts / counts.sum()).float())
    assert abs(float(state.model.bias.detach().mean())) < 1e-6
    before, after = plain.model.state_dict(), state.model.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == {"tables.output_bias"}


def test_what_cannot_begin_is_refused_before_anything_is_made(config: RunConfig, tmp_path: Path) -> None:
    elsewhere = replace(config, runtime=replace(config.runtime, device="cuda:999"))
    with pytest.raises(ConfigError, match="'cuda:999' cannot be used here"):
        create_run(elsewhere, tmp_path / "run")
    with pytest.raises(RunError, match="exists already"):
        create_run(config, tmp_path / "text")
    with pytest.raises(RunError):
        create_run(config, tmp_path / "run", start_from=tmp_path)
    assert not (tmp_path / "cache").exists()
    with pytest.raises(CorpusError, match="shorter than one window"):
        create_run(replace(config, training=replace(config.training, steps=100_000)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_training_runs_and_resumes_on_its_threads(config: RunConfig, tmp_path: Path, threads: list[int]) -> None:
    threads.append(2)
    folder = create_run(replace(config, runtime=RuntimeConfig(threads=3)), tmp_path / "run")
    threads.append(5)
    restore_run(folder)
    assert threads[1:] == [2, 3, 5, 3]


def test_a_second_training_begins_with_the_weights_of_the_first_and_names_them(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = create_run(config, tmp_path / "first")
    state = restore_run(first)
    first.save(weights=state.weights())
    before = first.read("weights")

    def prepare_while_the_first_goes_on(*arguments: Any, **options: Any) -> Any:
        state.model.reset_parameters(torch.Generator())
        first.save(weights=state.weights())
        return prepare(*arguments, **options)

    monkeypatch.setattr(start, "prepare", prepare_while_the_first_goes_on)
    second = create_run(config, tmp_path / "second", first.path)
    assert first.read("weights") != before
    assert restore_run(second).weights() == before
    parent = second.record.parent or {}
    assert parent["weights_sha256"] == hashlib.sha256(before).hexdigest()
    assert (parent["recipe"], parent["seed"], second.record.progress.generation) == ("small", 3, 2)


def test_another_model_or_vocabulary_to_start_from_is_refused(config: RunConfig, tmp_path: Path) -> None:
    parent = create_run(config, tmp_path / "parent")
    parent.save(weights=restore_run(parent).weights())
    wider = replace(config, model=replace(config.model, units=9))
    with pytest.raises(RunError, match="another model"):
        create_run(wider, tmp_path / "run", parent.path)
    bare = replace(config, model=replace(config.model, keep_hidden=0.6))
    assert create_run(bare, tmp_path / "bare", parent.path).config() == bare
    for text in (tmp_path / "text").iterdir():
        text.write_text(text.read_text().replace("cat", "cow"))
    with pytest.raises(RunError, match=r"another vocabulary \((\d+) words\) than this training's \(\1\)"):
        create_run(config, tmp_path / "run", parent.path)
    assert not (tmp_path / "run").exists()


def test_a_run_with_any_damaged_file_does_not_resume(config: RunConfig, tmp_path: Path) -> None:
    folder = create_run(config, tmp_path / "run")
    vocabulary = tmp_path / "run" / "vocabulary.json"
    vocabulary.write_bytes(vocabulary.read_bytes().replace(b"the", b"teh"))
    with pytest.raises(RunError, match=r"vocabulary\.json is damaged"):
        restore_run(folder)


@pytest.mark.parametrize("part", ["another model", "another state", "too many windows"])
def test_a_state_that_does_not_fit_its_config_is_refused(config: RunConfig, tmp_path: Path, part: str) -> None:
    folder = create_run(config, tmp_path / "run")
    state = restore_run(folder)
    if part == "another model":
        state.model = LanguageModel(replace(config.model, units=5), len(state.corpus.vocabulary))
    if part == "another state":
        state.carried = state.carried[:1]
    windows = 10**6 if part == "too many windows" else 0
    folder.save(state=state.to_bytes(), progress=Progress(window=windows, words=windows))
    with pytest.raises(RunError, match="fit"):
        restore_run(folder)


def test_a_state_comes_back_to_the_bit(config: RunConfig, tmp_path: Path) -> None:
    folder = create_run(config, tmp_path / "run")
    before = restore_run(folder)
    before.model.reset_parameters()
    before.carried = tuple(torch.rand_like(part) for part in before.carried)
    before.progress = Progress(generation=2, epoch=2, window=3, words=9, loss_sum=0.1 + 0.2, best_epoch=1)
    folder.save(state=before.to_bytes(), progress=before.progress)
    after = restore_run(RunFolder.open(folder.path))
    assert after.progress == before.progress
    assert after.to_bytes() == before.to_bytes()


def stops_at(epoch: int, window: int) -> Recorder:
    return Recorder(Mock(side_effect=KeyboardInterrupt), (epoch, window))


def stopped(config: RunConfig, run_dir: Path) -> RunFolder:
    """The folder of a training that was stopped in its second epoch."""
    with pytest.raises(KeyboardInterrupt):
        train(config, run_dir, display=stops_at(2, 5))
    return RunFolder.open(run_dir)


@pytest.mark.parametrize("what", ["runtime", "processor", "commit"])
def test_another_runtime_or_place_where_a_training_resumes_is_recorded_once(
    what: str, config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, runtime = stopped(config, tmp_path / "run"), None
    if what == "runtime":
        runtime = RuntimeConfig(precision="bfloat16", threads=2, save_seconds=60.0)
    else:
        monkeypatch.setattr(start, what, lambda: "another")
    with pytest.raises(KeyboardInterrupt):
        resume(before.path, runtime=runtime, display=stops_at(2, 6))
    folder = resume(before.path)
    assert before.config() == config
    assert folder.config() == replace(config, runtime=runtime or config.runtime)
    assert folder.read("config") == before.read("config")
    first, second = folder.record.sessions
    assert first == before.record.sessions[0]
    assert (second.epoch, second.runtime) == (2, folder.config().runtime)
    changed = {name for name, value in second.environment.items() if value != first.environment[name]}
    assert changed - {"started_unix"} == {"threads" if what == "runtime" else what}
    assert "command" not in second.environment
    events = [event["event"] for event in folder.journal()]
    assert events.count("move") == 1
    assert events.index("move") < events.index("resume")


def test_what_computes_a_training_is_recorded_and_its_change_is_said_before_it_resumes(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = start.implementations(config, 20)["cells"]
    monkeypatch.setattr(start, "implementations", lambda *_: {"loss": ("one", "it is there"), "cells": cells})
    assert stopped(config, tmp_path / "run").record.sessions[0].environment["loss"] == "one"
    monkeypatch.setattr(start, "implementations", lambda *_: {"loss": ("other", "no compiler here"), "cells": cells})
    display = Recorder()
    folder = resume(tmp_path / "run", runtime=replace(config.runtime, threads=2), display=display)
    for text in ("loss one before, other now (no compiler here)", "threads 1 before, 2 now", "last digits"):
        assert text in str(display.shown[0])
    environment = folder.record.sessions[1].environment
    assert (environment["loss"], environment["cells"]) == ("other", cells[0])


def test_the_precision_that_it_moves_to_is_the_one_it_resumes_in(config: RunConfig, tmp_path: Path) -> None:
    config = config.with_epochs(1)

    def loss_of_first_epoch(name: str, precision: Precision, to: Precision) -> float:
        folder = create_run(replace(config, runtime=replace(config.runtime, precision=precision)), tmp_path / name)
        events = resume(folder.path, runtime=replace(config.runtime, precision=to)).journal()
        return next(event["train_loss"] for event in events if event["event"] == "epoch")

    low = loss_of_first_epoch("low", "bfloat16", "bfloat16")
    assert loss_of_first_epoch("moved", "float32", "bfloat16") == low
    assert loss_of_first_epoch("whole", "float32", "float32") != low


def test_a_finished_training_and_a_device_that_is_not_here_are_refused(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = create_run(config, tmp_path / "run")
    with pytest.raises(ConfigError, match="no kind of device 'abacus'"):
        resume(folder.path, runtime=RuntimeConfig(device="abacus"))
    with folder.lock():
        folder.save(scores=SCORES)
    with pytest.raises(RunError, match="is finished"):
        resume(folder.path, runtime=RuntimeConfig(threads=2))
    monkeypatch.setattr(start, "processor", lambda: "another")
    assert len(resume(folder.path).record.sessions) == 1  # what is finished does not go on


@pytest.mark.parametrize("cut", [False, True])
def test_an_extended_run_ends_as_one_of_that_length(config: RunConfig, tmp_path: Path, cut: bool) -> None:
    whole = train(config.with_epochs(4), tmp_path / "whole")
    short = (stopped if cut else train)(config.with_epochs(2), tmp_path / "short")
    if cut:  # it went on with another runtime, on which no sum depends
        with pytest.raises(KeyboardInterrupt):
            resume(short.path, runtime=replace(config.runtime, save_seconds=1e-6), display=stops_at(2, 6))
        short = RunFolder.open(short.path)
    before = files(short.path)
    longer = extend_run(short.path, 4, tmp_path / "longer")
    assert files(short.path) == before
    assert not longer.is_finished
    assert longer.config() == replace(config.with_epochs(4), runtime=short.config().runtime)
    assert longer.record.sessions == short.record.sessions
    assert len(short.record.sessions) == 1 + cut
    event = longer.journal()[-1]
    assert (event["event"], event["epoch"], event["epochs"], event["epochs_before"]) == ("longer", 3 - cut, 4, 2)
    longer = resume(longer.path)
    for name in ("config", "weights", "state"):
        assert longer.read(name) == whole.read(name), name
    assert longer.record.scores == whole.record.scores
    epochs = [[event for event in run.journal() if event["event"] == "epoch"] for run in (longer, whole)]
    names = ("epoch", "valid_perplexity", "train_loss")
    figures = [[[event[name] for name in names] for event in events] for events in epochs]
    assert figures[0] == figures[1]
    assert [event["event"] for event in longer.journal()].count("end") == 1


def test_what_cannot_be_extended_is_refused_and_stays(config: RunConfig, tmp_path: Path) -> None:
    short = train(config.with_epochs(2), tmp_path / "short")
    before = files(short.path)
    for epochs in (2, 1):
        with pytest.raises(RunError, match=f"training of 2 epochs, and {epochs} are asked for.* Name a number above 2"):
            extend_run(short.path, epochs, tmp_path / "longer")
    with pytest.raises(RunError, match="exists already and is not empty"):
        extend_run(short.path, 4, short.path)
    with short.lock(), pytest.raises(RunError, match="in use"):
        extend_run(short.path, 4, tmp_path / "longer")
    assert files(short.path) == before
    with pytest.raises(ConfigError, match=r"training.epochs is 0"):
        config.with_epochs(0)
    (weights,) = short.path.glob("weights-*")
    weights.write_bytes(weights.read_bytes()[:-2])
    with pytest.raises(RunError, match="is damaged"):
        extend_run(short.path, 4, tmp_path / "longer")
    assert not (tmp_path / "longer").exists()


def test_describes_versions_and_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["/bin/python", "-m", "tiedlm", "train", "--run-dir", "my run"])
    environment = describe("cpu")
    assert environment["torch"] == torch.__version__
    assert environment["threads"] == torch.get_num_threads()
    assert environment["command"] == "/bin/python -m tiedlm train --run-dir 'my run'"
    assert environment["device"] == "cpu"
    json.dumps(environment, allow_nan=False)
    monkeypatch.setenv("PATH", "")
    assert commit() is None  # without git


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not here")
@pytest.mark.parametrize("tracked", [True, False])
def test_the_commit_is_that_of_a_repository_that_tracks_the_code(
    tracked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / ".venv" / "start.py"
    code.parent.mkdir()
    code.write_text("")
    (tmp_path / ".gitignore").write_text("" if tracked else ".venv\n")
    author = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    for arguments in (("init", "-q"), ("add", "."), (*author, "commit", "-q", "-m", "x")):
        subprocess.run(["git", "-C", str(tmp_path), *arguments], check=True)
    monkeypatch.setattr(start, "__file__", str(code))
    clean = commit()
    code.write_text("changed\n")
    if tracked:  # else the repository only surrounds the code
        assert len(clean or "") == 40
        assert commit() == f"{clean}+changes"
    else:
        assert clean is None
