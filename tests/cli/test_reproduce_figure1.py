"""What `tiedlm reproduce figure1` asks for and says; nothing is trained."""

from __future__ import annotations

import pytest
import torch

from tiedlm.cli import reproduce_figure1
from tiedlm.cli.main import INTERRUPTED
from tiedlm.paper.theory import Figure1Status


@pytest.fixture
def asked(monkeypatch):
    """What is asked for; the runs are left as the last entry says."""
    calls = []
    left = [Figure1Status(finished=55, missing=0, out_of_time=False)]

    def measure(runs, out, data_dir, display, *, budget_seconds):
        calls.append((list(runs), out, data_dir, budget_seconds, torch.get_num_threads()))
        if left[-1] is None:
            raise KeyboardInterrupt
        return left[-1]

    monkeypatch.setattr(reproduce_figure1, "run_missing", measure)
    return calls, left


def test_runs_budget_and_places_are_passed_on(tiedlm, asked, tmp_path):
    options = ("--seeds", "0,7", "--budget", "9m", "--data-dir", tmp_path / "data", "--project", tmp_path)
    answer = tiedlm("reproduce", "figure1", *options)
    assert (answer.status, answer.error) == (0, "")
    assert asked[0] == [([0, 7], tmp_path / "results" / "figure1", tmp_path / "data", 540, 1)]
    assert answer.output.startswith("Nothing is missing")


def test_without_options_five_runs_are_made(tiedlm, asked, tmp_path):
    tiedlm("reproduce", "figure1", "--project", tmp_path)
    assert asked[0] == [([0, 1, 2, 3, 4], tmp_path / "results" / "figure1", None, None, 1)]


def test_threads_are_put_back(tiedlm, asked, tmp_path):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(before + 1)
        tiedlm("reproduce", "figure1", "--project", tmp_path)
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("out_of_time", "why"), [(True, "the time is up"), (False, "other processes are at them")])
def test_what_is_left_is_told(tiedlm, asked, tmp_path, out_of_time, why):
    asked[1].append(Figure1Status(finished=3, missing=52, out_of_time=out_of_time))
    answer = tiedlm("reproduce", "figure1", "--project", tmp_path)
    assert answer.status == 0
    assert f"3 runs are finished, 52 are not ({why}): the same command goes on" in answer.output


def test_an_interrupt_is_told(tiedlm, asked, tmp_path):
    asked[1].append(None)
    answer = tiedlm("reproduce", "figure1", "--project", tmp_path)
    assert answer.status == INTERRUPTED
    assert "the same command goes on with it" in answer.error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("figure1", "table1"), "figure1 is made of runs of its own, and of no rows: name it alone"),
        (("table1", "figure1", "--list"), "name it alone"),
        (("figure1", "--jobs", "2"), "--jobs has no effect with figure1"),
        (("figure1", "--only", "small"), "--only has no effect with figure1"),
        (("figure1", "--precision", "bfloat16"), "--precision has no effect with figure1"),
        (("figure1", "--device", "cuda"), "--device has no effect with figure1"),
        (("figure1", "--list", "--only", "small"), "--only has no effect with --list"),
        (("figure1", "--list", "--precision", "bfloat16"), "--precision has no effect with --list"),
        (("figure1", "--seeds", "4-0"), "the range 4-0 runs down"),
        (("figure1", "--budget", "9s"), "give 60s or more"),
        (("figure3",), "Did you mean 'figure2'"),
        (("figur1",), "Did you mean 'figure1'"),
    ],
)
def test_what_cannot_be_done_is_told(tiedlm, asked, tmp_path, arguments, message):
    (tmp_path / "results").mkdir()
    answer = tiedlm("reproduce", *arguments, "--project", tmp_path)
    assert (answer.status, asked[0]) == (2, [])
    assert message in answer.error
