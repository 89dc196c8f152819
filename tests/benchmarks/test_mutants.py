"""Wrong changes are found and made as they should be, noticed by tests that can, and counted right."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from support.scripts import benchmark

found, mutants, runs, tests = (benchmark(name) for name in ("mutant_changes", "mutants", "mutant_runs", "mutant_tests"))


def after(text: str) -> set[str]:
    """The module's text under each change."""
    return {found.changed(text, change) for change in found.changes(text)}


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("a < b", {"(a <= b)"}),
        ("a is not None", {"(a is None)"}),
        ("a != 'none'", {"(a == 'none')", "(a != 'none ')"}),
        ("a + b", {"(a - b)"}),
        ("a += b", {"a -= b", "pass"}),
        ("a and b", {"(a or b)"}),
        ("-a", {"a"}),
        ("x = 3", {"x = 4"}),
        ("x = 0.5", {"x = 1.5"}),
        ("x = True", {"x = False"}),
        ("x = 'word'", set()),
        ("if a:\n    b", {"if (not a):\n    b"}),
        ("if a == b:\n    c", {"if (a != b):\n    c"}),
        ("if not a:\n    c", {"if a:\n    c"}),
        ("x = a if b else c", {"x = (a if not b else c)"}),
        ("x = f(a, b, c)", {"x = f(b, a, c)", "x = f(a, c, b)"}),
        ("x = max(a, b)", set()),
        ("x = f(*a, b)", set()),
        ("x = f(a, k=b)", {"x = f(a)"}),
        ("x = a.amax()", {"x = a.amin()"}),
        ("x = a.to(b)", {"x = a"}),
        ("f()", {"pass"}),
        ("raise a", {"pass"}),
        ("x: f(1) = 2", {"x: f(1) = 3"}),
        ("def f(a: g(1)) -> g(2): ...", set()),
        ('"""What it does: 1 < 2."""', set()),
        ("assert a is not None", set()),
        ("x = f'{a + 1}'", set()),
        ("if TYPE_CHECKING:\n    pass", set()),
        ("ä = ö + 1", {"ä = (ö - 1)", "ä = ö + 2"}),
    ],
)
def test_every_kind_of_change(text: str, changed: set[str]) -> None:
    assert after(text) == changed


def test_a_change_tells_where_it_stands() -> None:
    [change] = found.changes("a = b\nä = (c <\n    d)\n")
    assert change[:5] == ("comparison", 2, 7, "c <\n    d", "(c <= d)")  # columns are bytes, as Python counts them


def test_every_change_of_the_losses_is_a_module_of_another_meaning() -> None:
    for name in mutants.modules():
        text = (mutants.SOURCES / f"{name}.py").read_text()
        unchanged = ast.dump(ast.parse(text))
        for change in found.changes(text)[::10]:
            assert ast.dump(ast.parse(found.changed(text, change))) != unchanged, change


def test_the_draw_is_the_same_and_grows_at_its_end() -> None:
    assert mutants.drawn(30, 0) == mutants.drawn(40, 0)[:30] != mutants.drawn(30, 1)
    everything = mutants.drawn(10_000, 0)
    assert len({tuple(mutants.key(*mutant)) for mutant in everything}) == len(everything) > 1_000


def test_every_module_has_tests_that_exist() -> None:
    for name in mutants.modules():
        for test in tests.tests_of(name):
            assert (runs.PROJECT / "tests" / "losses" / f"{test.partition(' -k ')[0]}.py").is_file(), test


def lines_of(records: list[dict[str, Any]]) -> str:
    """The text of a file with these records."""
    return "".join(json.dumps(record) + "\n" for record in records)


def test_a_line_that_was_cut_short_is_told_and_run_again(tmp_path: Path, monkeypatch, capsys) -> None:
    first, second = mutants.drawn(2, 0)
    whole, cut = ({"key": mutants.key(*mutant), "outcome": "killed", "seconds": 1} for mutant in (first, second))
    path = tmp_path / "mutants.jsonl"
    path.write_text(lines_of([whole]) + json.dumps(cut)[:-9])
    assert mutants.open_mutants([first, second], mutants.latest(path), again=False) == [second]
    assert "the last line was cut short and is left out" in capsys.readouterr().out
    for name in ("copied", "prepare"):
        monkeypatch.setattr(runs, name, lambda _: tmp_path)
    monkeypatch.setattr(mutants, "check_unchanged", lambda *_: None)
    monkeypatch.setattr(mutants, "judged", lambda *_: cut)
    mutants.run([second], path)
    assert path.read_text() == lines_of([whole, cut])


def test_a_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mutants.jsonl"
    path.write_text('{"key": []}\n{"mod{"module"}\n')
    with pytest.raises(SystemExit, match=r"no JSON and begins with '{\"mod{\"module\"}': take it out"):
        mutants.latest(path)


def test_results_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = mutants.drawn(5, 0)
    outcomes = ["killed", "survived", "survived", "timeout"]
    records = [{"key": mutants.key(*mutant), "outcome": said} for mutant, said in zip(drawn, outcomes, strict=False)]
    path, equivalent = tmp_path / "mutants.jsonl", tmp_path / "equivalent.json"
    path.write_text(lines_of([{**records[0], "outcome": "survived"}, *records]))
    equivalent.write_text(json.dumps([{"key": records[1]["key"], "reason": "says so"}]))
    monkeypatch.setattr(mutants, "EQUIVALENT", equivalent)
    latest = mutants.latest(path)
    lines = mutants.report(drawn, latest).splitlines()
    assert lines[0].startswith("5 changes drawn, 4 run; modules: ")
    assert lines[1].startswith("1 of them cannot be noticed")
    assert "all 2 of 3 noticed, 66.7%, 1 of them by the clock" in [" ".join(line.split()) for line in lines]
    [survivor] = [line for line in lines if line.startswith("survived")]
    name, change = drawn[2]
    assert f"{name}.py:{change.line}:{change.column} {change.kind}: " in survivor
    assert mutants.open_mutants(drawn, latest, again=False) == drawn[4:]
    assert mutants.open_mutants(drawn, latest, again=True) == drawn[1:3]


def listened(monkeypatch: pytest.MonkeyPatch, work: Any) -> int | None:
    """The status of a process that does the work under the clock of one."""
    monkeypatch.setattr(runs, "CPU_SECONDS", 1)
    monkeypatch.setattr(runs, "SECONDS", 30)
    return runs._waited(runs._forked(work))


def test_a_change_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def forever() -> None:
        while True:
            pass

    assert listened(monkeypatch, forever) in {int(number) for number in runs.DEAD}
    assert listened(monkeypatch, lambda: None) == 0
