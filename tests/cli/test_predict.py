from __future__ import annotations

import io
import json
import types

import pytest

from tiedlm.checkpoint.load import load_run
from tiedlm.evaluation.next_words import next_words


@pytest.fixture
def typed(monkeypatch):
    """Puts bytes on the standard input."""

    def put(content: bytes):
        stream = types.SimpleNamespace(buffer=io.BytesIO(content), isatty=lambda: False)
        monkeypatch.setattr("sys.stdin", stream)

    return put


def test_the_words_are_those_of_the_function(tiedlm, tiny):
    run = load_run(tiny / "run")
    answer = tiedlm("predict", tiny / "run", "the dog", "--count", 4)
    assert answer.status == 0
    first, heading, *rows = answer.output.splitlines()
    assert first == "context: the dog"
    assert heading.split() == ["word", "probability"]
    expected = next_words(run.model, run.vocabulary, ["the", "dog"], 4)
    assert [row.split() for row in rows] == [[word, f"{probability:.4f}"] for word, probability in expected]


def test_unknown_words_are_named(tiedlm, tiny):
    output = tiedlm("predict", tiny / "run", "the wug and the wug blicks", "--json").output
    found = json.loads(output)
    assert found["unknown"] == ["wug", "and", "blicks"]
    assert found["context"] == "the wug and the wug blicks"
    plain = tiedlm("predict", tiny / "run", "the wug").output
    assert "not in the vocabulary, read as <unk>: wug\n" in plain


def test_contexts_from_the_standard_input_are_answered_line_by_line(tiedlm, tiny, typed):
    typed(b"the dog\r\n\na dog")
    answers = [json.loads(line) for line in tiedlm("predict", tiny / "run", "--json").output.splitlines()]
    assert [answer["context"] for answer in answers] == ["the dog", "", "a dog"]
    for answer in answers:
        alone = json.loads(tiedlm("predict", tiny / "run", answer["context"], "--json").output)
        assert alone == answer
        assert len(answer["next"]) == 10
    typed(b"the dog\n\na dog")
    blocks = tiedlm("predict", tiny / "run", "--count", 2).output.split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == [
        "context: the dog",
        "context: (start of a line)",
        "context: a dog",
    ]


def test_a_line_that_is_no_text_is_named(tiedlm, tiny, typed):
    typed(b"the dog\n\xff\n")
    answer = tiedlm("predict", tiny / "run", "--json")
    assert answer.status == 2
    assert json.loads(answer.output)["context"] == "the dog"
    assert "Line 2 of the standard input is not UTF-8" in answer.error


@pytest.mark.parametrize("count", [0, -1, 22])
def test_a_count_out_of_range_is_refused(tiedlm, tiny, count):
    answer = tiedlm("predict", tiny / "run", "the", "--count", count)
    assert answer.status == 2
    assert f"count is {count}, but must be from 1 to 21" in answer.error


def test_a_device_that_is_not_here_is_refused(tiedlm, tiny):
    answer = tiedlm("predict", tiny / "run", "the", "--device", "abacus")
    assert (answer.status, answer.output) == (2, "")
    assert "no kind of device 'abacus'" in answer.error
