"""Where a run stands, by its journal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tiedlm.checkpoint.folder import RunFolder
from tiedlm.launching.standing import Watch, standing


def epoch(number: int, valid: float = 90.0) -> dict[str, Any]:
    return {
        "event": "epoch",
        "epoch": number,
        "train_cross_entropy_perplexity": 100.0 - number,
        "valid_perplexity": valid,
        "words_per_second": 1000.0 * number,
        "seconds": 60.0,
        "time_unix": 1000.0 + number,
    }


def test_figures_are_of_the_last_epoch_and_the_best_of_all() -> None:
    assert standing([]) is None
    assert standing([{"event": "start"}]) is None
    found = standing([{"event": "start"}, epoch(1, 95.0), epoch(2, 85.0), epoch(3, 87.0), {"event": "resume"}])
    assert found is not None
    assert (found.epoch, found.train_perplexity, found.words_per_second) == (3, 97.0, 3000.0)
    assert (found.valid_perplexity, found.best_valid_perplexity) == (87.0, 85.0)


def test_time_left_counts_from_the_last_epoch_or_the_start_of_the_process() -> None:
    found = standing([epoch(3)])  # ended at 1003, 60 seconds an epoch
    assert found is not None
    assert found.seconds_left(10, since_unix=0.0, now_unix=1013.0) == 7 * 60 - 10
    assert found.seconds_left(10, since_unix=9000.0, now_unix=9005.0) == 7 * 60 - 5
    assert found.seconds_left(4, since_unix=0.0, now_unix=5000.0) == 0


def test_a_watch_reads_again_when_the_run_was_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(tmp_path / "run")
    assert watch.look() is None
    folder = RunFolder.create(tmp_path / "run", {"config": b"{}"})
    assert watch.look() is None
    for number in (1, 2):
        folder.journal.append(epoch(number))
        folder.commit({"progress": b"{}"}, folder.journal)
        os.utime(folder.path / "manifest.json", ns=(number, number))
        found = watch.look()
        assert found is not None
        assert found.epoch == number
    monkeypatch.setattr(RunFolder, "open", lambda path: pytest.fail("read again without need"))
    assert watch.look() is found


def test_a_damaged_run_leaves_what_was_seen(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", {"config": b"{}"})
    folder.journal.append(epoch(1))
    folder.commit({}, folder.journal)
    watch = Watch(folder.path)
    before = watch.look()
    assert before is not None
    (folder.path / "manifest.json").write_text("{")
    assert watch.look() is before
