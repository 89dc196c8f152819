"""A training of more epochs ends as one that was to have them from the beginning, and leaves the shorter one alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from support.small_text import small_config
from support.tiny_run import Silence
from tiedlm.errors import ConfigError, RunError
from tiedlm.runs.config import RunConfig, RuntimeConfig
from tiedlm.runs.folder import RunFolder
from tiedlm.training.display import WindowReport
from tiedlm.training.loop import resume, train
from tiedlm.training.start import extend_run

EPOCHS = 4


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    config = small_config(tmp_path / "text")
    return replace(config, runtime=replace(config.runtime, save_seconds=300.0)).with_epochs(2)


def trained(config: RunConfig, run: Path, display: Silence | None = None) -> RunFolder:
    return train(config, run, cache_dir=run.parent / "cache", display=display or Silence())


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def figures(folder: RunFolder) -> list[tuple[int, float, float]]:
    """Return epoch, valid perplexity and training loss of every epoch in the journal."""
    records = [record for record in folder.journal() if record["event"] == "epoch"]
    return [(record["epoch"], record["valid_perplexity"], record["train_loss"]) for record in records]


class StopsInTheSecondEpoch(Silence):
    def window(self, report: WindowReport) -> None:
        if report.epoch == 2 and report.window == 5:
            raise KeyboardInterrupt


@pytest.mark.parametrize("cut", [False, True])
def test_it_ends_as_one_that_was_to_have_so_many_from_the_beginning(
    config: RunConfig, tmp_path: Path, cut: bool
) -> None:
    whole = trained(config.with_epochs(EPOCHS), tmp_path / "whole")
    if cut:
        with pytest.raises(KeyboardInterrupt):
            trained(config, tmp_path / "short", StopsInTheSecondEpoch())
    else:
        trained(config, tmp_path / "short")
    extend_run(tmp_path / "short", EPOCHS, tmp_path / "longer")
    longer = resume(tmp_path / "longer", cache_dir=tmp_path / "cache", display=Silence())
    for name in ("config", "weights", "state"):
        assert longer.read(name) == whole.read(name), name
    assert longer.record.scores == whole.record.scores
    assert figures(longer) == figures(whole)
    assert [epoch for epoch, _, _ in figures(longer)] == [1, 2, 3, 4]


def test_the_shorter_one_stays_and_the_longer_one_tells_of_it(config: RunConfig, tmp_path: Path) -> None:
    short = trained(config, tmp_path / "short")
    before = files_of(short.path)
    longer = extend_run(short.path, EPOCHS, tmp_path / "longer")
    assert files_of(short.path) == before
    assert not longer.is_finished
    assert longer.config() == config.with_epochs(EPOCHS)
    assert longer.record.sessions == short.record.sessions
    events = [record["event"] for record in longer.journal()]
    assert events == ["start", "epoch", "epoch", "longer"]
    last = longer.journal()[-1]
    assert (last["epoch"], last["window"], last["epochs"], last["epochs_before"]) == (3, 0, EPOCHS, 2)


def test_where_a_training_went_on_elsewhere_the_longer_one_does_too(config: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(config, tmp_path / "short", StopsInTheSecondEpoch())
    elsewhere = RuntimeConfig(precision="bfloat16", threads=1, save_seconds=300.0)
    short = resume(tmp_path / "short", runtime=elsewhere, cache_dir=tmp_path / "cache", display=Silence())
    longer = extend_run(short.path, EPOCHS, tmp_path / "longer")
    assert longer.record.sessions == short.record.sessions
    assert longer.config().runtime.precision == "bfloat16"


@pytest.mark.parametrize("epochs", [2, 1])
def test_no_more_epochs_are_refused(config: RunConfig, tmp_path: Path, epochs: int) -> None:
    trained(config, tmp_path / "short")
    with pytest.raises(RunError, match=f"training of 2 epochs, and {epochs} are asked for.* Name a number above 2"):
        extend_run(tmp_path / "short", epochs, tmp_path / "longer")
    assert not (tmp_path / "longer").exists()


def test_a_place_that_is_taken_a_damaged_run_and_no_epochs_are_refused(config: RunConfig, tmp_path: Path) -> None:
    short = trained(config, tmp_path / "short")
    before = files_of(short.path)
    with pytest.raises(RunError, match="exists already and is not empty"):
        extend_run(short.path, EPOCHS, short.path)
    assert files_of(short.path) == before
    with pytest.raises(ConfigError, match=r"training.epochs is 0"):
        config.with_epochs(0)
    (weights,) = short.path.glob("weights-*")
    weights.write_bytes(weights.read_bytes()[:-2])
    with pytest.raises(RunError, match="is damaged"):
        extend_run(short.path, EPOCHS, tmp_path / "longer")
    assert not (tmp_path / "longer").exists()


def test_a_run_that_is_being_trained_is_refused(config: RunConfig, tmp_path: Path) -> None:
    short = trained(config, tmp_path / "short")
    with short.lock(), pytest.raises(RunError, match="in use"):
        extend_run(short.path, EPOCHS, tmp_path / "longer")
