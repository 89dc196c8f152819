from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tiedlm.reproduction import figure1_runs
from tiedlm.reproduction.theory_setting import TheoryConfig


@pytest.fixture
def asked(monkeypatch):
    """What the command asks for; nothing is trained."""
    calls = []

    def measure(runs, out, data_dir, display, *, device, training):
        calls.append((runs, out, data_dir, device, training.epochs, torch.get_num_threads()))
        return out / "points.json" if runs < 9 else None

    monkeypatch.setattr(figure1_runs, "measure_figure1", measure)
    return calls


def test_the_place_of_the_points_is_told(tiedlm, asked, tmp_path):
    answer = tiedlm("figure1", "--runs", "7", "--data-dir", tmp_path, "--threads", "2", "--epochs", "4", "--out", "x")
    assert (answer.status, answer.output) == (0, "x/points.json\n")
    assert asked == [(7, Path("x"), tmp_path, "cpu", 4, 2)]


def test_without_options(tiedlm, asked):
    before = torch.get_num_threads()
    assert tiedlm("figure1").output == "results/figure1/points.json\n"
    assert asked == [(5, Path("results/figure1"), None, "cpu", TheoryConfig.epochs, before)]


def test_threads_are_put_back(tiedlm, asked):
    before = torch.get_num_threads()
    tiedlm("figure1", "--threads", before + 1)
    assert torch.get_num_threads() == before


def test_nothing_is_told_while_other_processes_have_runs_left(tiedlm, asked):
    assert tiedlm("figure1", "--runs", "9").output == ""


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--runs", "0"], "--runs is 0"),
        (["--threads", "0"], "--threads is 0"),
        (["--epochs", "0"], "--epochs is 0"),
        (["--device", "gpu"], "gpu"),
    ],
)
def test_what_cannot_be_done_is_told(tiedlm, asked, options, told):
    answer = tiedlm("figure1", *options)
    assert (answer.status, answer.output, asked) == (2, "", [])
    assert told in answer.error
