"""Which runs are measured again: those that are here, and are those of the results that lack an analysis."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.finished_run import RECIPE, make_run
from support.invented_analysis import instead_of_measuring
from support.published_results import without_analysis
from tiedlm.cli.reproduce_measure import unmeasured
from tiedlm.errors import RunError
from tiedlm.paper.collect import collect
from tiedlm.paper.publish import publish


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A second training, published whole, and the folders of both runs where they usually are."""
    monkeypatch.setenv("TIEDLM_RUNS_DIR", str(tmp_path / "runs"))
    instead_of_measuring(monkeypatch)
    first = make_run(tmp_path / "runs" / f"{RECIPE}-seed-0", weights=b"1")
    second = make_run(tmp_path / "runs" / f"{RECIPE}-seed-0-second", weights=b"2", parent=first)
    publish(second.path, tmp_path / "results")
    return tmp_path


def found(project: Path, *seeds: int) -> list[str]:
    runs = unmeasured([RECIPE, "ptb-small-vd"], collect(project / "results"), seeds or (0, 1))
    return [run.name for run in runs]


def test_what_was_measured_is_left_alone(project):
    assert found(project) == []


def test_the_run_of_a_result_without_an_analysis_is_found(project):
    without_analysis(project / "results" / RECIPE / "seed-0")
    assert found(project) == [f"{RECIPE}-seed-0-second"]
    assert found(project, 1) == []


def test_a_run_that_is_gone_or_has_other_weights_is_not(project):
    without_analysis(project / "results" / RECIPE / "seed-0")
    run = project / "runs" / f"{RECIPE}-seed-0-second"
    run.rename(project / "elsewhere")
    assert found(project) == []
    make_run(run, weights=b"3")
    assert found(project) == []


def test_what_is_no_run_is_told(project):
    without_analysis(project / "results" / RECIPE / "seed-0")
    run = project / "runs" / f"{RECIPE}-seed-0-second"
    run.rename(project / "elsewhere")
    run.mkdir()
    (run / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=f"{RECIPE}-seed-0-second"):
        found(project)
