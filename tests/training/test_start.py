"""How a training begins."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from support.small_text import small_config
from tiedlm.data.corpus import prepare
from tiedlm.errors import ConfigError, CorpusError, RunError
from tiedlm.nn.model import LanguageModel
from tiedlm.runs.config import RuntimeConfig
from tiedlm.runs.folder import Progress, RunFolder
from tiedlm.training import start
from tiedlm.training.start import create_run, restore_run


def test_a_new_run_folder_holds_the_state_before_the_first_window(tmp_path: Path) -> None:
    config = small_config(tmp_path / "text")
    folder = create_run(config, tmp_path / "run", None, None, tmp_path / "cache")
    progress = folder.record.progress
    assert (progress.generation, progress.epoch, progress.window) == (1, 1, 0)
    state = restore_run(folder, None, tmp_path / "cache")
    assert state.config == config
    assert len(state.corpus.vocabulary) == state.model.classifier.shape[0]
    assert float(state.model.classifier.abs().max().detach()) <= config.model.init_range


def test_initial_weights_depend_on_the_seed_alone(tmp_path: Path) -> None:
    config = small_config(tmp_path / "text")
    torch.manual_seed(1)
    first = create_run(config, tmp_path / "first", None, None, tmp_path / "cache").read("state")
    torch.manual_seed(2)
    assert create_run(config, tmp_path / "again", None, None, tmp_path / "cache").read("state") == first
    other = replace(config, seed=config.seed + 1)
    assert create_run(other, tmp_path / "other", None, None, tmp_path / "cache").read("state") != first


@pytest.mark.parametrize("tied", [True, False])
def test_a_bias_from_the_unigrams_starts_there_and_all_else_where_it_did(tmp_path: Path, tied: bool) -> None:
    config = small_config(tmp_path / "text")
    model = replace(config.model, tied=tied, tied_bias=tied)
    config = replace(config, model=model, loss=replace(config.loss, temperature=5.0))
    create_run(config, tmp_path / "zero", None, None, tmp_path / "cache")
    config = replace(config, model=replace(model, unigram_bias=True))
    folder = create_run(config, tmp_path / "unigram", None, None, tmp_path / "cache")
    state = restore_run(folder, None, tmp_path / "cache")
    counts = torch.tensor(state.corpus.vocabulary.counts) + 0.5
    assert state.model.bias is not None
    torch.testing.assert_close(state.model.bias.detach().softmax(0), (counts / counts.sum()).float())
    assert abs(float(state.model.bias.detach().mean())) < 1e-6
    plain = restore_run(RunFolder.open(tmp_path / "zero"), None, tmp_path / "cache")
    before, after = plain.model.state_dict(), state.model.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == {"tables.output_bias"}


def test_a_text_shorter_than_one_window_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    config = small_config(tmp_path / "text")
    long_windows = replace(config, training=replace(config.training, steps=100_000))
    with pytest.raises(CorpusError, match="shorter than one window"):
        create_run(long_windows, tmp_path / "run", None, None, tmp_path / "cache")
    assert not (tmp_path / "run").exists()


def test_a_training_runs_on_the_threads_of_its_config_and_goes_on_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(small_config(tmp_path / "text"), runtime=RuntimeConfig(threads=3))
    threads = [2]
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    folder = create_run(config, tmp_path / "run", None, None, tmp_path / "cache")
    assert threads == [2, 3]
    threads.append(5)
    restore_run(folder, None, tmp_path / "cache")
    assert threads == [2, 3, 5, 3]


def test_starting_from_a_run_with_as_many_words_but_others_is_refused(tmp_path: Path) -> None:
    config = small_config(tmp_path / "text")
    parent = create_run(config, tmp_path / "parent", None, None, tmp_path / "cache")
    parent.save(weights=restore_run(parent, None, tmp_path / "cache").weights())
    for text in (tmp_path / "text").iterdir():
        text.write_text(text.read_text().replace("cat", "cow"))
    with pytest.raises(RunError, match=r"another vocabulary \((\d+) words\) than this training's \(\1\)"):
        create_run(config, tmp_path / "run", parent.path, None, tmp_path / "cache")
    assert not (tmp_path / "run").exists()


def test_a_place_that_is_taken_is_refused_before_the_text_is_prepared(tmp_path: Path) -> None:
    config = small_config(tmp_path / "text")
    with pytest.raises(RunError, match="exists already"):
        create_run(config, tmp_path / "text", None, None, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_second_training_names_the_weights_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, cache = small_config(tmp_path / "text"), tmp_path / "cache"
    first = create_run(config, tmp_path / "first", None, None, cache)
    state = restore_run(first, None, cache)
    first.save(weights=state.weights())
    began_with = hashlib.sha256(first.read("weights")).hexdigest()

    def prepare_while_the_first_goes_on(*arguments: Any, **options: Any) -> Any:
        state.model.reset_parameters(torch.Generator())
        first.save(weights=state.weights())
        return prepare(*arguments, **options)

    monkeypatch.setattr(start, "prepare", prepare_while_the_first_goes_on)
    second = create_run(config, tmp_path / "second", first.path, None, cache)
    assert first.record.files["weights"].sha256 != began_with
    assert (second.record.parent or {})["weights_sha256"] == began_with


def test_starting_from_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    config = small_config(tmp_path / "text")
    with pytest.raises(RunError):
        create_run(config, tmp_path / "run", tmp_path, None, tmp_path / "cache")
    assert not (tmp_path / "run").exists()


def test_a_device_that_is_not_here_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    config = small_config(tmp_path / "text")
    elsewhere = replace(config, runtime=replace(config.runtime, device="cuda:999"))
    with pytest.raises(ConfigError, match="'cuda:999' cannot be used here"):
        create_run(elsewhere, tmp_path / "run", None, None, tmp_path / "cache")
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "cache").exists()


def test_a_run_with_any_damaged_file_does_not_go_on(tmp_path: Path) -> None:
    folder = create_run(small_config(tmp_path / "text"), tmp_path / "run", None, None, tmp_path / "cache")
    vocabulary = tmp_path / "run" / "vocabulary.json"
    vocabulary.write_bytes(vocabulary.read_bytes().replace(b"the", b"teh"))
    with pytest.raises(RunError, match=r"vocabulary\.json is damaged"):
        restore_run(folder, None, tmp_path / "cache")


@pytest.mark.parametrize("part", ["another model", "another state", "too many windows"])
def test_a_state_that_does_not_fit_its_config_is_refused(tmp_path: Path, part: str) -> None:
    config, cache = small_config(tmp_path / "text"), tmp_path / "cache"
    folder = create_run(config, tmp_path / "run", None, None, cache)
    state = restore_run(folder, None, cache)
    if part == "another model":
        state.model = LanguageModel(replace(config.model, units=5), len(state.corpus.vocabulary))
    if part == "another state":
        state.carried = state.carried[:1]
    windows = 10**6 if part == "too many windows" else 0
    folder.save(state=state.to_bytes(), progress=Progress(window=windows, words=windows))
    with pytest.raises(RunError, match="fit"):
        restore_run(folder, None, cache)


def test_a_state_comes_back_to_the_bit(tmp_path: Path) -> None:
    config, cache = small_config(tmp_path / "text"), tmp_path / "cache"
    folder = create_run(config, tmp_path / "run", None, None, cache)
    before = restore_run(folder, None, cache)
    before.model.reset_parameters()
    before.carried = tuple(torch.rand_like(part) for part in before.carried)
    before.progress = Progress(generation=2, epoch=2, window=3, words=9, loss_sum=0.1 + 0.2, best_epoch=1)
    folder.save(state=before.to_bytes(), progress=before.progress)
    after = restore_run(RunFolder.open(folder.path), None, cache)
    assert after.progress == before.progress
    assert after.to_bytes() == before.to_bytes()


def test_the_next_epoch_starts_at_its_first_window() -> None:
    progress = Progress(epoch=1, window=5, words=3, loss_sum=1.0, cross_entropy_sum=1.0, seconds=2.0, best_epoch=1)
    progress.next_epoch(3.0)
    assert progress == Progress(epoch=2, total_seconds=3.0, best_epoch=1)
