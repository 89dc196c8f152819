from __future__ import annotations

import json
import re

import pytest

from tiedlm.cli.output import print_json, print_tab_separated, print_table, print_values, say

HEADINGS = ("model", "valid", "test")
ROWS = [("VD-LSTM [bold]", "92.6", "87.3"), ("+REAL", "8.6", "182.7")]


def test_values_are_lines_of_label_and_value(capsys):
    print_values({"words": 82430, "perplexity": "85.1000", "nothing": None})
    assert capsys.readouterr().out == "words: 82430\nperplexity: 85.1000\n"


def test_a_table_in_a_pipe_is_plain_columns(capsys):
    print_table(HEADINGS, ROWS, title="Both")
    assert capsys.readouterr().out == (
        "Both\nmodel           valid   test\nVD-LSTM [bold]   92.6   87.3\n+REAL             8.6  182.7\n"
    )


def test_a_table_without_rows_is_its_headings(capsys):
    print_table(HEADINGS, [])
    assert capsys.readouterr().out == "model  valid  test\n"


def test_a_table_on_a_terminal_is_drawn_with_the_same_cells(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    print_table(HEADINGS, ROWS, title="Both")
    output = capsys.readouterr().out
    assert "─" in output
    for cell in ("Both", *HEADINGS, *ROWS[0], *ROWS[1]):
        assert cell in output


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_json_has_null_for_what_it_lacks(capsys, value):
    print_json({"a": [1.5, {"b": value}], "c": "é"}, indent=None)
    assert json.loads(capsys.readouterr().out) == {"a": [1.5, {"b": None}], "c": "é"}


HOSTILE = [
    "\x1b[2J",
    "\u202eabc",
    "\x9b2J",
    "\\u202e",
    "\\\\u202e",
    "\\U000e0041",
    "\U000e0041",
    "\\",
    "\\u",
    "שלום",
    "\\\x1b",
    "a\u2028b",
]


def undone(cell: str) -> str:
    return re.sub(r"\\u([0-9a-f]{4})|\\U([0-9a-f]{8})", lambda match: chr(int(match[1] or match[2], 16)), cell)


def test_json_and_tab_separated_rows_give_hostile_words_back_and_show_none(capsys):
    print_json(HOSTILE, indent=None)
    assert json.loads(as_json := capsys.readouterr().out) == HOSTILE
    print_tab_separated([*HOSTILE, 0.5, True])
    *words, number, truth = (as_tsv := capsys.readouterr().out).removesuffix("\n").split("\t")
    assert [undone(word) for word in words] == HOSTILE
    assert (number, truth) == ("0.500000", "1")
    assert not set("\x1b\x9b\u202e\u2028\U000e0041") & set(as_json + as_tsv)


@pytest.mark.parametrize("terminal", [False, True])
def test_what_a_person_reads_has_no_control_characters(capsys, monkeypatch, terminal):
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    monkeypatch.setenv("TERM", "dumb")
    print_table(HOSTILE[:2], [HOSTILE[2:4]], title="a\x1b[bold]")
    print_values({"run": "a\x1bc\nb"})
    say("one\ntwo \u202e")
    output = capsys.readouterr().out
    assert not set("\x1b\x9b\u202e") & set(output)
    for shown in (
        "\\u001b[2J",
        "\\u202eabc",
        "\\u009b2J",
        "a\\u001b[bold]",
        "run: a\\u001bc\\u000ab\n",
        "one\ntwo \\u202e\n",
    ):
        assert shown in output
