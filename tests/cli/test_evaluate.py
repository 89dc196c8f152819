"""`tiedlm score`, `predict` and `generate`. Mistakes: golden/errors.txt."""

import io
import json
import math
import types
from dataclasses import replace

import pytest

from support.small_text import SMALL
from tiedlm.evaluation.next_words import Sampling, as_text, generate, next_words
from tiedlm.evaluation.perplexity import PROTOCOL
from tiedlm.evaluation.scoring import unseen_as_unk_score
from tiedlm.runs.folder import RunFolder
from tiedlm.runs.load import load_run, run_corpus


def test_the_score_is_that_of_the_end_of_training_to_the_last_digit(tiedlm, tiny):
    recorded = RunFolder.open(tiny / "run").scores()
    for split, option in (("test", []), ("valid", ["--split", "valid"])):
        report = json.loads(tiedlm("score", tiny / "run", "--json", *option).output)
        assert {name: report[name] for name in recorded[split]} == recorded[split]
        assert report["protocol"] == recorded["protocol"] == PROTOCOL


def test_the_report_in_plain_form(tiedlm, tiny):
    answer = tiedlm("score", tiny / "run")
    exact = json.loads(tiedlm("score", tiny / "run", "--json").output)
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


def test_a_text_file_scores_like_the_split_that_it_is(tiedlm, tiny, tmp_path):
    split = json.loads(tiedlm("score", tiny / "run", "--json").output)
    text = json.loads(tiedlm("score", tiny / "run", "--json", "--text", tiny / "test.txt").output)
    assert text == split | {"text": str(tiny / "test.txt")}
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


def test_lines_and_words_are_tab_separated_in_plain_form(tiedlm, tiny):
    words = [line.split("\t") for line in tiedlm("score", tiny / "run", "--per-word").output.splitlines()]
    assert words[0] == ["line", "place", "word", "unknown", "nll_nats"]
    expected = [["1", "the", "0"], ["2", "dog", "0"], ["3", "zigzags", "1"], ["4", "<eos>", "0"]]
    assert [row[1:4] for row in words if row[0] == "31"] == expected
    lines = [line.split("\t") for line in tiedlm("score", tiny / "run", "--per-line").output.splitlines()]
    assert lines[0] == ["line", "words", "unknown", "nll_nats", "perplexity"]
    assert lines[31][:3] == ["31", "4", "1"]
    assert float(lines[31][4]) == pytest.approx(math.exp(float(lines[31][3]) / 4), rel=1e-5)


def test_words_of_a_text_file_are_spelled_as_there_and_escaped(tiedlm, tiny, tmp_path):
    (tmp_path / "a.txt").write_text("the wug\n<unk> \x1b[2J")
    answer = tiedlm("score", tiny / "run", "--per-word", "--json", "--text", tmp_path / "a.txt")
    *rows, report = [json.loads(line) for line in answer.output.splitlines()]
    assert [row["word"] for row in rows] == ["the", "wug", "<eos>", "<unk>", "\x1b[2J", "<eos>"]
    assert [row["unknown"] for row in rows] == [False, True, False, True, True, False]
    assert report["unknown"] == 3
    plain = tiedlm("score", tiny / "run", "--per-word", "--text", tmp_path / "a.txt").output
    assert "\t\\u001b[2J\t" in plain
    assert "\x1b" not in plain + answer.output


def test_a_part_of_a_corpus_is_scored_with_its_own_words(tiedlm, tiny, monkeypatch):
    run = load_run(tiny / "run")
    whole = run_corpus(run.folder)
    train = whole.splits["train"]
    part = replace(whole, splits=whole.splits | {"train": replace(train, ids=train.ids[:40])})
    monkeypatch.setattr("tiedlm.runs.load.run_corpus", lambda folder, data_dir: part)
    expected = unseen_as_unk_score(run.model, part, "valid").to_json()
    report = json.loads(tiedlm("score", tiny / "run", "--split", "valid", "--own-words", "--json").output)
    assert report["text"] == "valid split of text, words that its training text lacks as <unk>"
    assert {name: report[name] for name in expected} == expected


@pytest.mark.parametrize("line", ["score run", "predict run the", "generate run", "reproduce ptb-small-re"])
def test_a_device_that_is_not_here_is_refused(tiedlm, tiny, monkeypatch, line):
    monkeypatch.chdir(tiny)
    answer = tiedlm(*line.split(), "--device", "abacus")
    assert (answer.status, answer.output) == (2, "")
    assert "no kind of device 'abacus'" in answer.error


def test_predicted_words_are_those_of_the_function(tiedlm, tiny):
    run = load_run(tiny / "run")
    first, heading, *rows = tiedlm("predict", tiny / "run", "the dog", "--count", 4).output.splitlines()
    assert first == "context: the dog"
    assert heading.split() == ["word", "probability"]
    expected = next_words(run.model, run.vocabulary, ["the", "dog"], 4)
    assert [row.split() for row in rows] == [[word, f"{probability:.4f}"] for word, probability in expected]
    assert len(json.loads(tiedlm("predict", tiny / "run", "", "--json").output)["next"]) == 10


def test_unknown_words_of_a_context_are_named(tiedlm, tiny):
    answer = json.loads(tiedlm("predict", tiny / "run", "the wug and the wug blicks", "--json").output)
    assert answer["unknown"] == ["wug", "and", "blicks"]
    assert answer["context"] == "the wug and the wug blicks"
    assert "not in the vocabulary, read as <unk>: wug\n" in tiedlm("predict", tiny / "run", "the wug").output
    generated = tiedlm("generate", tiny / "run", "--prompt", "the wug")
    assert generated.error == "not in the vocabulary, read as <unk>: wug\n"
    assert generated.output.startswith("the wug")


def test_contexts_on_the_standard_input_are_answered_line_by_line(tiedlm, tiny, monkeypatch):
    def typed(content):
        stream = types.SimpleNamespace(buffer=io.BytesIO(content), isatty=lambda: False)
        monkeypatch.setattr("sys.stdin", stream)

    typed(b"the dog\r\n\na dog")
    answers = [json.loads(line) for line in tiedlm("predict", tiny / "run", "--json").output.splitlines()]
    assert [answer["context"] for answer in answers] == ["the dog", "", "a dog"]
    for answer in answers:
        assert json.loads(tiedlm("predict", tiny / "run", answer["context"], "--json").output) == answer
    typed(b"the dog\n\na dog")
    blocks = tiedlm("predict", tiny / "run", "--count", 2).output.split("\n\n")
    contexts = ["context: the dog", "context: (start of a line)", "context: a dog"]
    assert [block.splitlines()[0] for block in blocks] == contexts
    typed(b"the dog\n\xff\n")
    answer = tiedlm("predict", tiny / "run", "--json")
    assert answer.status == 2
    assert json.loads(answer.output)["context"] == "the dog"
    assert "Line 2 of the standard input is not UTF-8" in answer.error


def test_a_vocabulary_of_few_words_is_enough(tiedlm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("a \x1b[2J\n" * 200)
    texts = [word for split in ("train", "valid", "test") for word in (f"--corpus.{split}", "a.txt")]
    for variant in ("vd", "real"):
        assert tiedlm("train", f"text-small-{variant}", *texts, *SMALL, "--run-dir", variant).status == 0
        assert len(json.loads(tiedlm("predict", variant, "a", "--json").output)["next"]) == 4
        assert tiedlm("analyze", variant).status == 0
    assert "\\u001b[2J" in tiedlm("generate", "vd").output


def test_generated_text_is_that_of_the_function(tiedlm, tiny):
    run = load_run(tiny / "run")
    options = ("--words", 20, "--temperature", 0.8, "--seed", 1, "--top-k", 9, "--allow-unknown")
    answer = tiedlm("generate", tiny / "run", "--prompt", "the dog", *options)
    sampling = Sampling(temperature=0.8, seed=1, top_k=9, allow_unknown=True)
    words = generate(run.model, run.vocabulary, ["the", "dog"], 20, sampling)
    assert (answer.output, answer.error) == (as_text(["the", "dog", *words]) + "\n", "")
    assert tiedlm("generate", tiny / "run").output == tiedlm("generate", tiny / "run", "--seed", 0).output
