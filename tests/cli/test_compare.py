from __future__ import annotations

import json
from dataclasses import replace

from tiedlm.cli import run_summary
from tiedlm.evaluation.perplexity import PROTOCOL


def test_runs_stand_below_each_other_under_one_protocol(tiedlm, tiny):
    answer = tiedlm("compare", tiny / "run", tiny / "run")
    heading, first, second, protocol = answer.output.splitlines()
    assert (answer.status, answer.error) == (0, "")
    assert heading.split()[:4] == ["run", "recipe", "parameters", "trainings"]
    assert first == second
    assert protocol == f"protocol: {PROTOCOL}"
    kept = json.loads(next((tiny / "run").glob("scores-*.json")).read_text())
    assert f"{kept['valid']['perplexity']:.2f}" in first
    assert f"{kept['test']['perplexity']:.2f}" in first
    assert first.split()[-1] == "-"


def test_the_papers_figures_stand_beside_those_of_its_recipe(tiedlm, tiny, monkeypatch):
    original = run_summary.summarize
    published = {"recipe": "ptb-small-re", "changed": False, "paper_valid": 89.9, "paper_test": 85.1}
    for trainings, told in ((1, True), (2, False)):
        numbers = published | {"trainings": trainings, "paper_trainings": 2}
        monkeypatch.setattr(run_summary, "summarize", lambda path, n=numbers: replace(original(path), **n))
        output = tiedlm("compare", tiny / "run").output
        assert output.splitlines()[1].endswith(" 89.9 / 85.1")
        assert (f"{tiny / 'run'}: one training; the paper's figures: 2 trainings" in output) == told
        assert ("the paper's figures" in output) == told


def test_as_json_with_all_digits(tiedlm, tiny):
    (found,) = json.loads(tiedlm("compare", tiny / "run", "--json").output)
    kept = json.loads(next((tiny / "run").glob("scores-*.json")).read_text())
    assert (found["valid"], found["test"]) == (kept["valid"]["perplexity"], kept["test"]["perplexity"])
    assert (found["recipe"], found["seed"], found["epochs"], found["paper_test"]) == ("small", 3, 2, None)


def test_scores_of_several_protocols_are_not_passed_over(tiedlm, tiny, monkeypatch):
    original, numbers = run_summary.summarize, iter("12")
    monkeypatch.setattr(run_summary, "summarize", lambda path: replace(original(path), protocol=next(numbers)))
    answer = tiedlm("compare", tiny / "run", tiny / "run")
    assert answer.output.splitlines()[-2:] == ["protocol: 1", "protocol: 2"]
    assert "their figures do not compare" in answer.error


def test_without_a_run_or_with_a_folder_that_is_none(tiedlm, tiny, tmp_path):
    assert "Name the runs to compare" in tiedlm("compare").error
    answer = tiedlm("compare", tiny / "run", tmp_path)
    assert (answer.status, answer.output) == (2, "")
    assert str(tmp_path) in answer.error
