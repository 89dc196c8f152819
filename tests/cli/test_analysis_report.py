from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from support.stub_model import BigramModel
from tiedlm.cli.analysis_report import print_report, report_json
from tiedlm.data.text import Vocabulary
from tiedlm.evaluation.analysis import Analysis, analyze
from tiedlm.models.config import LSTMConfig
from tiedlm.models.lstm import LSTMLanguageModel

WORDS = Vocabulary.from_counts({f"w{k:02}": 40 - k for k in range(10)} | {"<eos>": 99, "a": 50, "<unk>": 1})
IDS = np.random.default_rng(3).integers(0, 10, 300)  # never one of the three rarest


@pytest.fixture(scope="module")
def analyses() -> dict[str, Analysis]:
    """A tied model and an untied one."""
    rows = torch.rand(13, 13, generator=torch.Generator().manual_seed(1)) + 0.1
    untied = LSTMLanguageModel(LSTMConfig(units=4, layers=1, init_range=1.0), 13)
    untied.reset_parameters(torch.Generator().manual_seed(2))
    models = {"one": BigramModel(rows / rows.sum(1, keepdim=True)), "two": untied.eval()}
    return {name: analyze(model, WORDS, IDS, {}) for name, model in models.items()}


def rows_of(output: str, title: str) -> list[list[str]]:
    """The cells of the table under a title, headings first."""
    lines = output.splitlines()
    first = lines.index(title) + 1
    return [line.split() for line in lines[first : first + lines[first:].index("")]]


def test_every_run_stands_in_every_table(analyses, capsys):
    print_report(analyses, "valid")
    output = capsys.readouterr().out
    headings, *rows = rows_of(output, "by frequency of the target")
    assert headings == ["run", "ranks", "targets", "nats", "|l|^2", "|w|^2"]
    assert [row[:3] for row in rows] == [[run, *rest] for run in analyses for rest in (["1-10", "300"], ["11-13", "0"])]
    assert (rows[1][3], rows[1][5]) == ("-", "-")  # none of these words came; the model is tied
    assert rows[2][5] == f"{analyses['two'].bands[0].classifier_squared_norm:.3f}"
    _, tied, untied = rows_of(output, "features, word vectors, and the distance of vectors and classifier")
    assert tied[-2:] == ["-", "-"]
    assert untied[-2] == f"{analyses['two'].geometry.subspaces.distance:.3f}"


def test_probabilities_have_their_intervals_and_each_run_is_set_against_the_first(analyses, capsys):
    print_report(analyses, "valid")
    output = capsys.readouterr().out
    one, two = (analysis.mass.estimates()["a"] for analysis in analyses.values())
    (row,) = [cells for cells in rows_of(output, "mean probability, one") if cells[0] == "a"]
    assert row == ["a", *(f"{value:.6f}" for value in (one.mean, *one.interval)), str(one.words)]
    (row,) = [cells for cells in rows_of(output, "mean probability, two less one") if cells[0] == "a"]
    assert float(row[1]) == pytest.approx(two.mean - one.mean, abs=2e-6)
    assert output.splitlines()[-3] == "split: valid"


def test_a_single_run_is_set_against_nothing(analyses, capsys):
    print_report({"one": analyses["one"]}, "test")
    assert " less " not in capsys.readouterr().out


def test_the_same_figures_as_json(analyses):
    found = json.loads(json.dumps(report_json(analyses, "test")))
    assert list(found["runs"]) == ["one", "two"]
    assert list(found["less_first_run"]) == ["two"]
    means = {run: content["probability"]["target"]["mean"] for run, content in found["runs"].items()}
    assert found["less_first_run"]["two"]["target"]["mean"] == pytest.approx(means["two"] - means["one"])
