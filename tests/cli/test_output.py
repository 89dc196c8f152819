"""What commands print: tables, JSON, tab-separated rows, and nothing that acts on a terminal."""

import json
import re

import pytest

from tiedlm.cli.output import print_json, print_tab_separated, print_table, print_values, say

HEADINGS = ("model", "valid", "test")
ROWS = [("VD-LSTM [bold]", "92.6", "87.3"), ("+REAL", "8.6", "182.7")]
HOSTILE = ["\x1b[2J", "\u202eabc", "\x9b2J", "\\u202e", "\\\\u202e", "\\U000e0041", "\U000e0041", "\\", "שלום"]
HOSTILE += ["\\\x1b", "\u2028"]


def test_a_table_in_a_pipe_is_plain_columns(capsys):
    print_table(HEADINGS, ROWS, title="Both")
    assert capsys.readouterr().out == (
        "Both\nmodel           valid   test\nVD-LSTM [bold]   92.6   87.3\n+REAL             8.6  182.7\n"
    )


def test_a_table_on_a_terminal_is_drawn_with_the_same_cells(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "dumb")
    print_table(HEADINGS, ROWS, title="Both")
    output = capsys.readouterr().out
    assert "─" in output
    for cell in ("Both", *HEADINGS, *ROWS[0], *ROWS[1]):
        assert cell in output


def test_json_has_null_for_numbers_that_it_lacks(capsys):
    print_json({"a": [1.5, {"b": float("inf")}], "c": "é", "d": float("nan")}, indent=None)
    assert json.loads(capsys.readouterr().out) == {"a": [1.5, {"b": None}], "c": "é", "d": None}


def test_json_and_tab_separated_rows_are_lossless_and_safe_on_a_terminal(capsys):
    print_json(HOSTILE, indent=None)
    as_json = capsys.readouterr().out
    assert json.loads(as_json) == HOSTILE
    print_tab_separated([*HOSTILE, 0.5, True])
    as_tsv = capsys.readouterr().out
    *words, number, truth = as_tsv.removesuffix("\n").split("\t")
    escape = re.compile(r"\\u([0-9a-f]{4})|\\U([0-9a-f]{8})")
    assert [escape.sub(lambda match: chr(int(match[1] or match[2], 16)), word) for word in words] == HOSTILE
    assert (number, truth) == ("0.500000", "1")
    assert not set("\x1b\x9b\u202e\u2028\U000e0041") & set(as_json + as_tsv)


@pytest.mark.parametrize("is_terminal", [False, True])
def test_text_for_a_person_has_no_control_characters(capsys, monkeypatch, is_terminal):
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)
    monkeypatch.setenv("TERM", "dumb")
    print_table(HOSTILE[:2], [HOSTILE[2:4]], title="a\x1b[bold]")
    print_values({"run": "a\x1bc\nb"})
    say("one\ntwo \u202e")
    output = capsys.readouterr().out
    assert not set("\x1b\x9b\u202e") & set(output)
    for text in ("\\u001b[2J", "\\u009b2J", "a\\u001b[bold]", "run: a\\u001bc\\u000ab\n", "one\ntwo \\u202e\n"):
        assert text in output
