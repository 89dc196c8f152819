"""Where data, caches and runs live."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tiedlm import locations


@pytest.mark.parametrize(
    ("variable", "function"),
    [
        (locations.DATA_VARIABLE, locations.data_dir),
        (locations.CACHE_VARIABLE, locations.cache_dir),
        (locations.RUNS_VARIABLE, locations.runs_dir),
    ],
)
def test_environment_variables_decide(
    variable: str, function: Callable[[], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "here"))
    assert function() == tmp_path / "here"
    monkeypatch.setenv(variable, "~/there")
    assert function() == Path.home() / "there"
    monkeypatch.setenv(variable, "~nobodyx/there")
    assert function() == Path("~nobodyx/there")


@pytest.mark.parametrize("path", ["~lock.txt", "~nobodyx/runs", "a/~/b"])
def test_a_path_that_names_no_home_stays(path: str) -> None:
    assert locations.expanded(path) == Path(path)


def test_without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (locations.DATA_VARIABLE, locations.CACHE_VARIABLE, locations.RUNS_VARIABLE):
        monkeypatch.setenv(variable, "")  # empty counts as not set
    assert locations.runs_dir() == Path("runs")
    assert locations.cache_dir().name == "tiedlm"
    assert locations.data_dir() == locations.cache_dir() / "data"
