from __future__ import annotations

import json

import pytest

from tiedlm.cli.output import print_json, print_table, print_values

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
