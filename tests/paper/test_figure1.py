from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from support.published_results import add_points
from support.published_results import points as told
from tiedlm.paper import figure1 as module
from tiedlm.paper.figure1 import beside_the_paper, figure1, figure1_csv, figure1_table, standing
from tiedlm.paper.figure1_points import Points, read_points

Draw = Callable[[Points], Figure]


def points_of(results: Path, **changes: object) -> Points:
    add_points(results, **changes)
    found = read_points(results)
    assert found is not None
    return found


@pytest.fixture
def points(tmp_path: Path) -> Points:
    return points_of(tmp_path)


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch) -> Draw:
    """Draw points, and return the figure itself in place of its pictures."""

    def drawn(found: Points) -> Figure:
        empty = Figure()
        monkeypatch.setattr(module, "pictures", lambda into, **size: into(empty) or {})
        figure1(found)
        return empty

    return drawn


def test_both_panels_show_means_runs_chance_and_what_the_paper_tells(points: Points, draw: Draw) -> None:
    beta, tau = draw(points).axes
    lines = {str(line.get_label()): line for line in beta.lines}
    means, caps, _ = beta.containers[0]
    assert beta.containers[0].get_label() == "ours, mean ± sd, 3 runs"
    assert list(means.get_xdata()) == [0.0, 0.5, 1.0]
    assert list(means.get_ydata()) == pytest.approx([0.985, 0.4, 0.05])
    assert [list(cap.get_ydata()) for cap in caps] == [
        pytest.approx([0.975, 0.39, 0.04]),
        pytest.approx([0.995, 0.41, 0.06]),
    ]
    assert lines["chance, 0.985"].get_ydata()[0] == pytest.approx(0.97**0.5)  # pyright: ignore[reportIndexIssue]
    assert (list(lines["the paper"].get_xdata()), list(lines["the paper"].get_ydata())) == ([1.0], [0.06])  # pyright: ignore[reportArgumentType]
    runs = [line for line in beta.lines if line.get_marker() == "."]
    assert [len(line.get_ydata()) for line in runs] == [3, 3, 3]  # pyright: ignore[reportArgumentType]
    assert beta.get_title(loc="left") == "(a) over β, τ = 10"
    assert tau.get_title(loc="left") == "(b) over τ, β = 1"
    assert "the paper" not in {line.get_label() for line in tau.lines}


def test_a_panel_of_single_runs_claims_no_spread(tmp_path: Path, draw: Draw) -> None:
    panels = told()["panels"]
    for point in panels["beta"]:
        point["distances"] = {"1": 0.5}
    [container] = draw(points_of(tmp_path, panels=panels)).axes[0].containers
    assert container.get_label() == "ours, 1 run"


def test_points_that_are_not_run_are_left_out_of_the_figure(tmp_path: Path, draw: Draw) -> None:
    panels = told()["panels"]
    panels["beta"][1]["distances"], panels["beta"][0]["distances"] = {}, {"1": 0.98}
    found = points_of(tmp_path, panels=panels)
    empty = draw(found)
    means, _, _ = empty.axes[0].containers[0]
    assert list(means.get_xdata()) == [0.0, 1.0]
    assert empty.axes[0].containers[0].get_label() == "ours, mean ± sd, 1–3 runs"
    assert [axes.get_title(loc="left") for axes in empty.axes] == [
        "(a) over β, τ = 10, unfinished",
        "(b) over τ, β = 1",
    ]
    assert list(figure1_table(found).rows[1])[3:5] == ["–", "not run"]
    assert list(figure1_table(found).rows[0])[3:5] == ["1", "0.980"]
    assert list(figure1_csv(found).rows[1])[3:6] == ["0", "", ""]
    assert list(figure1_csv(found).rows[0])[3:6] == ["1", "0.98", ""]
    assert standing(found).startswith(
        "Figure 1: 13 of 18 runs. Missing: runs 0 2 of (τ 10, β 0); runs 0 1 2 of (τ 10, β 0.5). "
    )


def test_how_much_there_is_of_the_figure_is_told(tmp_path: Path) -> None:
    assert "not run" in standing(None)
    add_points(tmp_path)
    assert standing(read_points(tmp_path)) == "Figure 1: 18 of 18 runs."
    add_points(tmp_path, runs=[0, 1, 2, 3, 4])
    assert "18 of 30 runs. Missing: runs 3 4 of every point." in standing(read_points(tmp_path))


def test_what_the_paper_tells_of_stands_beside_ours(points: Points) -> None:
    assert beside_the_paper(points) == (
        "Figure 1: 18 of 18 runs. Distance between the spans of both tables, in brackets the paper's: "
        "0.985 ± 0.010 at β = 0, τ = 10 (almost 1); 0.050 ± 0.010 at β = 1, τ = 10 (about 0.06); "
        "0.275 ± 0.025 at β = 1, τ = 2 (close already). Chance is 0.985."
    )


def test_a_figure_without_a_run_claims_no_distance(tmp_path: Path) -> None:
    panels = told()["panels"]
    for point in [*panels["beta"], *panels["tau"]]:
        point["distances"] = {}
    assert beside_the_paper(points_of(tmp_path, panels=panels)) == "Figure 1: 0 of 18 runs. Chance is 0.985."


def test_an_empty_panel_says_so(tmp_path: Path, draw: Draw) -> None:
    empty = draw(points_of(tmp_path, panels=told()["panels"] | {"tau": []}))
    assert empty.axes[1].get_title(loc="left") == "(b) over τ: not run"


def test_the_table_has_every_point_beside_the_papers(points: Points) -> None:
    rows = [list(row) for row in figure1_table(points).rows]
    assert len(rows) == 7
    assert rows[0] == ["(a)", "0", "10", "3", "0.985 ± 0.010", "almost 1"]
    assert rows[1] == ["(a)", "0.5", "10", "3", "0.400 ± 0.010", "–"]
    assert rows[2] == ["(a)", "1", "10", "3", "0.050 ± 0.010", "about 0.06"]
    assert rows[4] == ["(b)", "1", "2", "3", "0.275 ± 0.025", "close already"]
    values = [list(row) for row in figure1_csv(points).rows]
    assert values[0] == ["a", "0", "10", "3", "0.985", "0.01", "almost 1"]
    assert values[1] == ["a", "0.5", "10", "3", "0.4", "0.01", ""]
    assert values[4] == ["b", "1", "2", "3", "0.275", "0.025", "close already"]
