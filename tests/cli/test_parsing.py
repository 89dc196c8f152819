from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tiedlm.cli.parsing import Directory, RunPath, Switch, parse
from tiedlm.errors import ArgumentError, ConfigError
from tiedlm.runs.config import LossConfig


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What the command is for."""

    run: RunPath
    """A run."""
    data_dir: Directory = None
    """A folder."""
    fast: Switch = False
    """Be quick."""
    loss: LossConfig = field(default_factory=LossConfig)
    """A loss."""


def test_values_come_from_the_words_and_the_rest_from_the_defaults():
    found = parse(Arguments, ["r", "--data-dir", "d", "--loss.gamma=0.5", "--loss.temperature", "3", "--fast"], "x")
    assert found == Arguments(run=Path("r"), data_dir=Path("d"), fast=True, loss=LossConfig(gamma=0.5, temperature=3.0))
    assert parse(Arguments, ["r"], "x") == Arguments(run=Path("r"))


def test_a_default_object_replaces_the_defaults_of_the_class():
    default = Arguments(run=Path("given"), loss=LossConfig(gamma=0.5, temperature=3.0))
    found = parse(Arguments, ["other", "--loss.gamma", "0.7"], "x", default)
    assert found.loss == LossConfig(gamma=0.7, temperature=3.0)


def test_the_error_of_a_config_comes_out_as_it_was_raised(capsys):
    with pytest.raises(ConfigError, match=r"^loss\.gamma is -1\.0, but must lie in \[0, 1e6\]\.$"):
        parse(Arguments, ["r", "--loss.gamma", "-1"], "x")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "RUN"),
        (["r", "s"], "Unrecognized options: s"),
        (["r", "--loss.gama", "1"], "--loss.gamma"),
        (["r", "--loss.gamma", "one"], "--loss.gamma"),
        (["r", "--no-fast"], "--no-fast"),
    ],
)
def test_other_mistakes_are_errors_without_a_frame(capsys, words, told):
    with pytest.raises(ArgumentError) as found:
        parse(Arguments, words, "x")
    message = str(found.value)
    assert told in message
    assert "tiedlm x --help" in message
    assert not set("│╭─") & set(message)
    assert "---" not in message
    assert capsys.readouterr() == ("", "")


def test_the_help_is_no_wider_than_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    with pytest.raises(SystemExit):
        parse(Arguments, ["--help"], "x", more="many words " * 20)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    assert sum("many words" in line for line in lines) > 3


def test_help_names_command_and_fields(capsys):
    with pytest.raises(SystemExit) as end:
        parse(Arguments, ["--help"], "x")
    output, error = capsys.readouterr()
    assert (end.value.code, error) == (0, "")
    for told in ("usage: tiedlm x", "What the command is for.", "RUN", "A run.", "--data-dir DIR", "--fast"):
        assert told in output
