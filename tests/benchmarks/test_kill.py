"""A killed training ends as one that was left alone; and the comparison notices one that does not."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.finished_run import make_run, scores
from support.scripts import benchmark

kill = benchmark("kill")


def records(loss: float = 4.5) -> list[dict[str, Any]]:
    """A journal of two epochs."""
    epochs = [{"event": "epoch", **dict.fromkeys(kill.FIGURES, 1.5), "epoch": epoch} for epoch in (1, 2)]
    epochs[1]["train_loss"] = loss
    return [{"event": "start"}, *epochs, {"event": "end"}]


def compared(tmp_path: Path, **changes: Any) -> list[str]:
    """The faults of a run that is a good one but for the changes."""
    expected = make_run(tmp_path / "alone", records=records())
    return kill.faults(make_run(tmp_path / "copy", **{"records": records(), **changes}).path, expected.path)


def test_three_kills_and_no_difference(tmp_path: Path) -> None:
    count = kill.kill_and_compare(tmp_path, kills=3, seed=0)
    assert count.faults == []
    assert count.kills == 3
    assert count.copies >= 1
    names = {path.name for path in tmp_path.glob("*/manifest.json") for path in [path.parent]}
    assert names == {"uninterrupted", *(f"copy-{number + 1}" for number in range(count.copies))}


def test_equal_runs_have_no_faults_though_times_and_resumes_differ(tmp_path: Path) -> None:
    others = [record | {"time_unix": float(number)} for number, record in enumerate(records())]
    assert compared(tmp_path, records=[others[0], {"event": "resume"}, *others[1:]]) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"weights": b"weightz"}, "copy: weights differ"),
        ({"scored": scores(89.9, 85.0)}, "copy: scores differ"),
        ({"records": records(4.5 + 1e-15)}, "copy: figures of the epochs differ"),
        ({"records": [*records()[:2], *records()[3:]]}, "copy: figures of the epochs differ"),
        ({"records": [*records(), {"event": "resume"}, {"event": "resume"}]}, "the journal holds double lines"),
        ({"records": [{"event": "start", "time_unix": 1}, *records()]}, "the journal holds double lines"),
        ({"records": records()[:-1]}, "the journal holds double lines"),
    ],
)
def test_what_differs_is_told(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    [found] = compared(tmp_path, **changes)
    assert fault in found


def test_the_status_says_whether_all_were_equal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    count = kill.Count(kills_in_start=1, kills_in_training=2, resumes=3, copies=1)
    monkeypatch.setattr(kill, "kill_and_compare", lambda *_: count)
    assert kill.main(["--kills", "3"]) == 0
    line = "kills 3 (1 in the start, 2 in training), resumes 3, runs trained to the end 1, equal to the bit: "
    assert capsys.readouterr().out == f"{line}yes\n"
    count.faults.append("copy-1: weights differ")
    assert kill.main(["--kills", "3"]) == 1
    assert capsys.readouterr().out == f"copy-1: weights differ\n{line}no\n"


def test_no_kill_at_all_is_refused(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        kill.main(["--kills", "0"])
    assert "--kills: '0' was given, but a whole number of 1 or more is due" in capsys.readouterr().err


def test_a_training_that_fails_ends_the_measurement() -> None:
    command = [sys.executable, "-S", "-c", "import sys; sys.exit('why')"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with pytest.raises(SystemExit, match=r"A training ended with status 1:\nwhy"):
        kill.finish(process)


def test_a_process_that_dies_of_itself_is_no_kill(tmp_path: Path) -> None:
    command = [sys.executable, "-S", "-c", "import os; os.abort()"]
    count, pace = kill.Count(), kill.Pace(start_seconds=60.0, training_seconds=60.0)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    with pytest.raises(SystemExit, match="A training ended with status -6"):
        kill.killed(process, tmp_path, pace, random.Random(0), count)
    assert count.kills == 0
