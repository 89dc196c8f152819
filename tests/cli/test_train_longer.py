"""`tiedlm train --resume RUN --training.epochs N`."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.tiny_run import train_tiny_run
from tiedlm.checkpoint import RunFolder
from tiedlm.cli.train_longer import default_longer_run
from tiedlm.training.moves import current_config, moves_of


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIEDLM_CACHE_DIR", str(tmp_path / "cache"))
    return train_tiny_run(tmp_path).path


def test_the_longer_run_lies_beside_the_shorter_one() -> None:
    assert default_longer_run(Path("/runs/text-small-re-seed-0"), 60) == Path("/runs/text-small-re-seed-0-60-epochs")


def test_a_finished_run_goes_on_for_longer_beside_itself(tiedlm, run: Path) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir() if not path.name.startswith(".")}
    answer = tiedlm("train", "--resume", run, "--training.epochs", 3)
    assert answer.status == 0, answer.error
    assert answer.output.startswith(f"run: {run}-3-epochs\n")
    assert "epoch 3/3" in answer.output
    assert "epoch 2/3" not in answer.output
    longer = RunFolder.open(Path(f"{run}-3-epochs"))
    assert longer.has("scores")
    assert longer.read_json("config")["training"]["epochs"] == 3
    assert {path.name: path.read_bytes() for path in run.iterdir() if not path.name.startswith(".")} == before


def test_it_may_go_on_elsewhere_at_once_and_where_it_is_told(tiedlm, run: Path, tmp_path: Path) -> None:
    told = ("--training.epochs", 3, "--run-dir", tmp_path / "longer", "--runtime.precision", "bfloat16")
    answer = tiedlm("train", "--resume", run, *told)
    assert answer.status == 0, answer.error
    longer = RunFolder.open(tmp_path / "longer")
    assert [move["epoch"] for move in moves_of(longer)] == [3]
    assert current_config(longer).runtime.precision == "bfloat16"
    assert current_config(RunFolder.open(run)).runtime.precision == "float32"


def test_what_was_made_already_tells_how_to_go_on(tiedlm, run: Path) -> None:
    assert tiedlm("train", "--resume", run, "--training.epochs", 3).status == 0
    answer = tiedlm("train", "--resume", run, "--training.epochs", 3)
    assert (answer.status, answer.output) == (2, "")
    assert f"{run}-3-epochs exists already. Go on with it: `" in answer.error
