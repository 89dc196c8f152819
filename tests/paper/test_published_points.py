from __future__ import annotations

from tiedlm.paper.figure1_records import Setting, panels
from tiedlm.paper.published_points import FIGURE_1_POINTS


def test_every_point_of_which_the_paper_tells_is_measured_in_its_panel() -> None:
    for point in FIGURE_1_POINTS:
        assert Setting(point.tau, point.beta) in panels()[point.panel]


def test_a_known_distance_is_the_one_that_is_told() -> None:
    for point in FIGURE_1_POINTS:
        assert point.distance is None or point.told == f"about {point.distance}"
