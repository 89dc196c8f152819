from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from support.published_results import add_points, by_run, points, seal_points
from tiedlm.errors import RunError
from tiedlm.paper.figure1_points import read_points


def panel(**changes: Any) -> dict[str, Any]:
    """Both panels, the first point over beta changed."""
    told = points()["panels"]
    return told | {"beta": [told["beta"][0] | changes, *told["beta"][1:]]}


def test_points_are_read_in_order_with_their_runs(tmp_path: Path) -> None:
    told = points()
    told["panels"]["tau"].reverse()
    add_points(tmp_path, panels=told["panels"])
    found = read_points(tmp_path)
    assert found is not None
    assert [point.beta for point in found.panels["beta"]] == [0.0, 0.5, 1.0]
    assert [point.tau for point in found.panels["tau"]] == [1.0, 2.0, 5.0, 10.0]
    distances = found.panels["beta"][1].distances
    assert distances is not None
    assert distances.by_seed == pytest.approx({0: 0.39, 1: 0.4, 2: 0.41})
    assert (found.words, found.units, found.runs) == (10_000, 300, (0, 1, 2))
    assert found.missing() == {}
    assert found.wanted() == 3 * 6  # tau = 10 with beta = 1 is in both panels
    assert found.chance == pytest.approx(math.sqrt(0.97))


def test_an_experiment_that_was_not_run_has_none(tmp_path: Path) -> None:
    assert read_points(tmp_path) is None


def test_what_is_missing_is_known_by_point_and_run(tmp_path: Path) -> None:
    panels = panel(distances={"2": 0.9})
    panels["tau"][0]["distances"] = {}
    add_points(tmp_path, panels=panels)
    found = read_points(tmp_path)
    assert found is not None
    assert found.missing() == {(10.0, 0.0): [0, 1], (1.0, 1.0): [0, 1, 2]}
    assert found.panels["tau"][0].distances is None


def test_a_panel_may_be_empty(tmp_path: Path) -> None:
    add_points(tmp_path, panels=points()["panels"] | {"tau": []})
    found = read_points(tmp_path)
    assert found is not None
    assert found.panels["tau"] == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 1}, "must be of format 2, but is of 1"),
        ({"words_by_run": {"0": 300}}, "300 units of 300 words"),
        ({"words_by_run": {"0": "many"}}, "holds no points"),
        ({"words_by_run": {}}, "holds no points"),
        ({"runs": ["first"]}, "holds no points"),
        ({"panels": {"beta": []}}, "panels"),
        ({"panels": panel(distances=[0.1])}, "holds no points"),
        ({"panels": panel(distances=by_run(0.1, 1.2))}, "distances"),
        ({"panels": panel(distances={"0": "near"})}, "near"),
        ({"panels": panel(distances={"first": 0.1})}, "first"),
        ({"panels": panel(beta=1.5)}, "beta 1.5"),
        ({"panels": panel(tau=0.0)}, "tau 0.0"),
        ({"panels": panel(tau=20.0)}, "several values of tau in the panel over beta"),
        ({"panels": panel(beta=0.5)}, "two points of the panel beta at one beta"),
        ({"panels": [1, 2]}, "panels"),
    ],
)
def test_what_is_no_point_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    add_points(tmp_path, **changes)
    with pytest.raises(RunError, match=rf"points\.json .*{message}"):
        read_points(tmp_path)


def test_not_a_number_is_no_distance(tmp_path: Path) -> None:
    path = add_points(tmp_path)
    path.write_text(json.dumps(points()).replace("0.39", "NaN"))
    seal_points(path.parent)
    with pytest.raises(RunError, match="holds no points"):
        read_points(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "null"])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    path = add_points(tmp_path)
    path.write_text(content)
    seal_points(path.parent)
    with pytest.raises(RunError, match=r"points\.json"):
        read_points(tmp_path)


def test_an_edited_file_is_named(tmp_path: Path) -> None:
    path = add_points(tmp_path)
    path.write_text(path.read_text().replace("0.39", "0.38"))
    with pytest.raises(RunError, match=r"points\.json is damaged or was edited"):
        read_points(tmp_path)
