"""What benchmarks with a CSV share of their command lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.scripts import benchmark

command_line = benchmark("command_line")

TO_CSV = ("aligned_rows", "bodies", "kept_memory", "logits", "losses", "rhn", "scale", "step")
OF_ROUNDS = ("aligned_rows", "bodies", "kept_memory", "logits", "losses", "rhn")
COUNTS = [
    *((name, "--threads") for name in TO_CSV),
    *((name, "--rounds") for name in OF_ROUNDS),
    *(("rhn", option) for option in ("--units", "--depth")),
    *(("scale", option) for option in ("--words", "--windows")),
    *(("proofs", option) for option in ("--examples", "--gradchecks")),
    *(("gpu", "--steps"), ("mutants", "--mutants"), ("step", "--batches")),
]
"""Of every benchmark but `kill`, whose test has its own."""


def test_the_parser_is_described_in_one_line_and_knows_where_figures_go(tmp_path: Path) -> None:
    parser = command_line.parser_of("One line.\n\nMore.", tmp_path / "a.csv")
    assert parser.description == "One line."
    assert vars(parser.parse_args([])) == {"threads": None, "output": tmp_path / "a.csv"}
    assert vars(parser.parse_args(["--threads", "2", "--output", "b"])) == {"threads": 2, "output": Path("b")}


@pytest.mark.parametrize(("script", "option"), COUNTS)
@pytest.mark.parametrize("given", ["0", "-1", "1.5"])
def test_every_count_is_a_whole_number_of_one_or_more(script: str, option: str, given: str, capsys) -> None:
    with pytest.raises(SystemExit):
        benchmark(script).parsed([option, given])
    assert f"argument {option}: '{given}' was given, but a whole number of 1 or more is due" in capsys.readouterr().err


def test_what_another_process_prints_is_read_and_its_failure_is_one(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import json, sys\nprint(json.dumps({'given': sys.argv[1:]}) if sys.argv[1:] else 1 / 0)\n")
    assert command_line.printed_by(str(script), ["a", "b"]) == {"given": ["a", "b"]}
    with pytest.raises(SystemExit, match=r"script.py ended with status 1:\n(.*\n)+ZeroDivisionError"):
        command_line.printed_by(str(script), [])


def test_rows_are_printed_and_appended_as_they_are_measured(tmp_path: Path, capsys) -> None:
    def rows() -> Iterator[dict[str, object]]:
        yield {"a": 1}
        assert (tmp_path / "a.csv").read_text() == "a\n1\n"
        assert capsys.readouterr().out == "a is 1\n"
        yield {"a": 2}

    command_line.write_down(tmp_path / "a.csv", rows(), lambda row: f"a is {row['a']}")
    assert (tmp_path / "a.csv").read_text() == "a\n1\n2\n"
    assert capsys.readouterr().out == "a is 2\n"


def test_a_row_is_printed_before_it_is_refused(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit, match="cannot be written"):
        command_line.write_down(tmp_path, [{"a": 1}], lambda row: f"a is {row['a']}")
    assert capsys.readouterr().out == "a is 1\n"


@pytest.mark.parametrize("name", TO_CSV)
def test_other_columns_are_refused_before_anything_is_measured(name: str, tmp_path: Path, monkeypatch) -> None:
    script, output = benchmark(name), tmp_path / "a.csv"
    output.write_text("other\n")
    monkeypatch.setattr(sys, "argv", [name, "--output", str(output)])
    monkeypatch.setattr(script, "rows", lambda *_: pytest.fail("it was measured"))
    with pytest.raises(SystemExit, match=r"has the columns \['other'\], but \['date', 'commit', "):
        script.main()
