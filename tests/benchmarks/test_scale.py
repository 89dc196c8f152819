"""Texts of two lengths are trained alike, and what they took is told for each."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from support.scripts import benchmark
from tiedlm.corpora.prepare import prepare

scale, windows = benchmark("scale"), benchmark("step_windows")


@pytest.fixture(autouse=True)
def few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small numbers: the sizes are another's to measure."""
    monkeypatch.setattr(windows, "WORDS", 50)
    monkeypatch.setattr(scale, "BLOCK_LINES", 7)
    monkeypatch.setattr(scale, "SCORED_WINDOWS", 1)


def test_a_text_has_the_words_that_were_asked_for_and_all_there_are(tmp_path: Path) -> None:
    config = scale.text_config(tmp_path, 2_100)
    corpus = prepare(config.corpus, cache_dir=tmp_path / "cache")
    assert corpus.splits["train"].words == 2_100
    assert len(corpus.vocabulary) == 50
    text = (tmp_path / "2100.txt").read_text()
    assert len(set(text.split())) == 50
    lines = text.splitlines()
    assert len(set(lines)) == len(lines), "blocks differ"
    scale.write_text(tmp_path / "again.txt", 2_100, seed=2_100)
    assert (tmp_path / "again.txt").read_text() == text


def test_the_watch_sees_memory_that_is_gone_again() -> None:
    with scale.Watch() as watch:
        watch.look()
        before = watch.most_mib
        held = np.ones(60 * 2**20 // 8)
        watch.look()
        del held
    assert 50 < watch.most_mib - before < 80


def test_a_text_that_is_too_short_for_the_windows_is_refused(capsys: pytest.CaptureFixture) -> None:
    """Four rounds at either end, of 20 streams of 35 words, and a line less its last word."""
    assert scale.parsed(["--words", "9000", "2820", "--windows", "2"]).words == [9000, 2820]
    with pytest.raises(SystemExit):
        scale.parsed(["--words", "9000", "2819", "--windows", "2"])
    assert "--words 2819 is too short a text for --windows 2: 2820 words or more are due" in capsys.readouterr().err


def test_the_shortest_text_has_windows_enough(tmp_path: Path) -> None:
    options = scale.parsed(["--words", "2820", "--windows", "2", "--folder", str(tmp_path)])
    assert len(scale.speeds(options)[2820]) == 2


def test_rows_of_both_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    """With the work done in this process and not in others."""
    asked = []

    def here(work: str, words: int, options: argparse.Namespace) -> dict[str, Any]:
        asked.append((work, words))
        arguments = ["--only", work, "--words", str(words), "--windows", "2", "--folder", str(options.folder)]
        scale.main(arguments)
        return json.loads(capsys.readouterr().out)

    monkeypatch.setattr(scale, "in_a_process", here)
    output = tmp_path / "scale.csv"
    folder, threads = tmp_path / "folder", str(torch.get_num_threads())
    arguments = ["--words", "7000", "14000", "--windows", "3", "--folder", str(folder), "--output", str(output)]
    scale.main([*arguments, "--threads", threads])
    assert asked == [("encode", 7000), ("encode", 14000), ("train", 7000), ("train", 14000)]
    with output.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == scale.COLUMNS
    assert [(row["words"], row["windows"]) for row in rows] == [("7000", "4"), ("14000", "4")]
    assert rows[0]["speed_to_first"] == rows[0]["peak_to_first"] == "1.0000"
    assert all(float(row["anonymous_mib"]) < float(row["peak_memory_mib"]) for row in rows)
    assert len(capsys.readouterr().out.splitlines()) == 2
