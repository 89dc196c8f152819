from __future__ import annotations

from pathlib import Path

from support.published_results import add_group
from support.small_group import SMALL
from tiedlm.paper.collect import collect
from tiedlm.paper.ordering import orderings
from tiedlm.paper.ordering_tables import orders, orders_csv, steps, steps_csv


def test_the_order_of_the_models(tmp_path: Path) -> None:
    add_group(tmp_path, "ptb-small", SMALL)
    add_group(tmp_path, "ptb-medium", {"vd": [(70.0,)], "real": [(71.0,)]})
    rows = {row[0]: list(row[1:]) for row in orders(orderings(collect(tmp_path))).rows}
    assert len(rows) == 7
    assert rows["`ptb-small`"] == [
        "real < al < re < vd",
        "real 82.30 < al 83.20 < re 85.23 < vd 88.20",
        "yes",
    ]
    assert rows["`ptb-medium`"] == ["real < re < al < vd", "vd 70.00 < real 71.00", "not known"]
    assert rows["`ptb-large`"] == ["real < re < al < vd", "not run", "not known"]
    values = {row[0]: list(row[1:]) for row in orders_csv(orderings(collect(tmp_path))).rows}
    assert values["ptb-small"] == ["real al re vd", "real al re vd", "82.3 83.2 85.2333 88.2", "true"]
    assert values["ptb-medium"] == ["real re al vd", "vd real", "70.0 71.0", ""]
    assert values["ptb-large"] == ["real re al vd", "", "", ""]


def test_each_step_has_its_test_or_says_why_not(tmp_path: Path) -> None:
    add_group(tmp_path, "ptb-small", SMALL)
    rows = [list(row) for row in steps(orderings(collect(tmp_path))).rows]
    assert len(rows) == 21
    assert rows[0] == ["`ptb-small`", "al - real", "+0.20", "+0.75", "2", "fewer than 3 seeds", "yes"]
    assert rows[1] == ["`ptb-small`", "re - al", "+2.20", "+2.03 ± 0.63", "3", "0.005", "yes"]
    assert rows[3] == ["`ptb-medium`", "re - real", "+0.70", "not run", "–", "–", "not known"]
    values = [list(row) for row in steps_csv(orderings(collect(tmp_path))).rows]
    assert values[0] == ["ptb-small", "al", "real", "0.2", "0.75", "", "2", "", "true"]
    assert values[1] == ["ptb-small", "re", "al", "2.2", "2.0333", "0.6252", "3", "0.005067", "true"]
    assert values[3] == ["ptb-medium", "re", "real", "0.7", "", "", "", "", ""]


def test_a_step_the_other_way_does_not_hold_and_small_p_is_told_as_such(tmp_path: Path) -> None:
    add_group(tmp_path, "ptb-medium", {"re": [(70.0,), (70.0,), (70.001,)], "real": [(75.0,), (75.0,), (75.0,)]})
    found = orderings(collect(tmp_path))
    assert list(steps(found).rows[3])[1:] == ["re - real", "+0.70", "-5.00 ± 0.00", "3", "< 0.001", "no"]
    assert list(steps_csv(found).rows[3])[-1] == "false"
