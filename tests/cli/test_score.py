from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from tiedlm.checkpoint.load import load_run
from tiedlm.evaluation import run_corpus
from tiedlm.evaluation.own_words import own_words_score
from tiedlm.evaluation.perplexity import PROTOCOL


def test_the_report_is_that_of_the_end_of_training_to_the_last_digit(tiedlm, tiny):
    report = json.loads(tiedlm("score", tiny / "run", "--json").output)
    kept = json.loads(next((tiny / "run").glob("scores-*.json")).read_text())
    assert {name: report[name] for name in kept["test"]} == kept["test"]
    assert report["protocol"] == kept["protocol"] == PROTOCOL
    valid = json.loads(tiedlm("score", tiny / "run", "--json", "--split", "valid").output)
    assert {name: valid[name] for name in kept["valid"]} == kept["valid"]


def test_the_report_in_words(tiedlm, tiny):
    answer = tiedlm("score", tiny / "run")
    exact = json.loads(tiedlm("score", tiny / "run", "--json").output)
    assert answer.status == 0
    assert answer.values() == {
        "run": str(tiny / "run"),
        "text": "test split of text",
        "protocol": PROTOCOL,
        "words": str(exact["words"]),
        "unknown words": "1",
        "nll nats": f"{exact['nll_nats']:.4f}",
        "perplexity": f"{exact['perplexity']:.4f}",
        "perplexity without unknown words": f"{exact['perplexity_without_unknown']:.4f}",
    }
    assert exact["words"] == sum(len(line.split()) + 1 for line in (tiny / "test.txt").read_text().splitlines())
    assert exact["perplexity_without_unknown"] < exact["perplexity"]


def test_a_text_file_scores_like_the_split_that_it_is(tiedlm, tiny):
    split = json.loads(tiedlm("score", tiny / "run", "--json").output)
    text = json.loads(tiedlm("score", tiny / "run", "--json", "--text", tiny / "test.txt").output)
    assert text == split | {"text": str(tiny / "test.txt")}


def test_a_text_of_unknown_words_only(tiedlm, tiny, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"<unk>")
    report = json.loads(tiedlm("score", tiny / "run", "--json", "--text", tmp_path / "a.txt").output)
    assert (report["words"], report["unknown"]) == (2, 1)
    assert report["perplexity_without_unknown"] > 0


@pytest.mark.parametrize("option", ["--per-line", "--per-word"])
def test_lines_and_words_sum_to_the_total(tiedlm, tiny, option):
    *rows, report = [json.loads(line) for line in tiedlm("score", tiny / "run", "--json", option).output.splitlines()]
    assert math.fsum(row["nll_nats"] for row in rows) == pytest.approx(report["nll_nats"], rel=1e-12)
    words = sum(row["words"] for row in rows) if option == "--per-line" else len(rows)
    assert words == report["words"]
    assert rows[-1]["line"] == 31


def test_the_words_of_a_line_in_plain_form(tiedlm, tiny):
    lines = [line.split("\t") for line in tiedlm("score", tiny / "run", "--per-word").output.splitlines()]
    assert lines[0] == ["line", "place", "word", "unknown", "nll_nats"]
    assert [line[:4] for line in lines if line[0] == "31"] == [
        ["31", "1", "the", "0"],
        ["31", "2", "dog", "0"],
        ["31", "3", "zigzags", "1"],
        ["31", "4", "<eos>", "0"],
    ]


def test_the_words_of_a_text_file_are_those_that_it_spells(tiedlm, tiny, tmp_path):
    (tmp_path / "a.txt").write_text("the wug\n<unk> dog")
    answer = tiedlm("score", tiny / "run", "--per-word", "--json", "--text", tmp_path / "a.txt")
    *rows, report = [json.loads(line) for line in answer.output.splitlines()]
    assert [row["word"] for row in rows] == ["the", "wug", "<eos>", "<unk>", "dog", "<eos>"]
    assert [row["unknown"] for row in rows] == [False, True, False, True, False, False]
    assert report["unknown"] == 2


def test_the_lines_in_plain_form(tiedlm, tiny):
    lines = [line.split("\t") for line in tiedlm("score", tiny / "run", "--per-line").output.splitlines()]
    assert lines[0] == ["line", "words", "unknown", "nll_nats", "perplexity"]
    assert lines[31][:3] == ["31", "4", "1"]
    assert float(lines[31][4]) == pytest.approx(math.exp(float(lines[31][3]) / 4), rel=1e-5)


def test_a_part_of_a_corpus_is_read_with_its_own_words(tiedlm, tiny, monkeypatch):
    run = load_run(tiny / "run")
    whole = run_corpus.run_corpus(run.folder)
    train = whole.splits["train"]
    part = replace(whole, splits=whole.splits | {"train": replace(train, ids=train.ids[:40])})
    monkeypatch.setattr(run_corpus, "run_corpus", lambda folder, data_dir: part)
    expected = own_words_score(run.model, part, "valid")
    told = json.loads(tiedlm("score", tiny / "run", "--split", "valid", "--own-words", "--json").output)
    assert told["text"] == "valid split of text, words that its training text lacks as <unk>"
    assert {name: told[name] for name in expected.to_json()} == expected.to_json()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--text", "a.txt", "--split", "test"], "--split has no effect beside --text"),
        (["--text", "a.txt", "--data-dir", "."], "--data-dir has no effect beside --text"),
        (["--text", "a.txt", "--own-words"], "--own-words has no effect beside --text"),
        (["--own-words", "--per-word"], "--own-words and --per-word do not go together"),
        (["--own-words"], "has every word that the model reads in its test split"),
        (["--per-line", "--per-word"], "--per-line and --per-word do not go together"),
        (["--data-dir", "."], "--data-dir has no effect on the corpus 'text'"),
        (["--text", "nowhere.txt"], "nowhere.txt does not exist"),
        (["--text", "/"], "is a folder"),
        (["--split", "tset"], "'tset'"),
        (["--device", "abacus"], "no kind of device 'abacus'"),
        (["--device", "cuda:999"], "'cuda:999' cannot be used here"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tiedlm, tiny, arguments, told):
    answer = tiedlm("score", tiny / "run", *arguments)
    assert answer.status == 2
    assert told in answer.error
    assert answer.output == ""


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "is empty"), (b" \n \n", "no word"), (b"a \xff", "not UTF-8"), (b"a \0", "NUL")],
)
def test_a_text_that_is_none_is_refused(tiedlm, tiny, tmp_path, content, told):
    (tmp_path / "a.txt").write_bytes(content)
    answer = tiedlm("score", tiny / "run", "--text", tmp_path / "a.txt")
    assert answer.status == 2
    assert answer.error.startswith("tiedlm: error: ")
    assert told in answer.error


def test_a_missing_or_foreign_run_is_named(tiedlm, tmp_path):
    assert "There is no run folder" in tiedlm("score", tmp_path / "none").error
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file"):
        answer = tiedlm("score", path)
        assert answer.status == 2
        assert answer.error.startswith("tiedlm: error: ")
        assert str(path) in answer.error
