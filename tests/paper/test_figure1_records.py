from __future__ import annotations

import json

import pytest

from support.figure1_record import record
from tiedlm.errors import RunError
from tiedlm.paper.figure1_records import (
    Setting,
    panels,
    read_record,
    read_records,
    record_path,
    settings,
)
from tiedlm.paper.theory_setting import TheoryConfig

CONFIG = TheoryConfig(temperature=10.0, beta=0.25)
POINT = Setting(10.0, 0.25)


def write(out, value):
    path = record_path(out, POINT, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_the_panels_cross_in_the_papers_point():
    beta, tau = panels()["beta"], panels()["tau"]
    assert {point.tau for point in beta} == {10.0}
    assert {point.beta for point in tau} == {1.0}
    assert (beta[0].beta, beta[-1].beta) == (0.0, 1.0)
    assert set(beta) & set(tau) == {Setting(10.0, 1.0)}
    assert Setting(2.0, 1.0) in tau
    assert len(settings()) == len(set(settings())) == 9


def test_a_record_is_read_as_it_was_written(tmp_path):
    write(tmp_path, record(POINT))
    assert read_record(tmp_path, CONFIG, POINT, 0) == record(POINT)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("{", "not readable as JSON"),
        ("[]", "its format should be 4"),
        (record(POINT) | {"format": 3}, "its format should be 4"),
        (record(POINT, run=1), "its run should be 0"),
        (record(POINT, streams=3), "its config should be"),
        (record(POINT, distance=1.5), "holds no distance"),
        (record(POINT) | {"outcome": {}}, "holds no distance"),
        (record(POINT) | {"outcome": 7}, "holds no distance"),
        (record(POINT) | {"outcome": {"distance": "near"}}, "holds no distance"),
    ],
)
def test_a_record_of_something_else_is_refused_and_left_alone(tmp_path, value, told):
    path = write(tmp_path, value)
    before = path.read_bytes()
    with pytest.raises(RunError, match=told):
        read_record(tmp_path, CONFIG, POINT, 0)
    assert path.read_bytes() == before


def test_a_missing_record_is_named(tmp_path):
    with pytest.raises(RunError, match=r"tau-10-beta-0\.25-run-0\.json is missing"):
        read_record(tmp_path, CONFIG, POINT, 0)


def test_every_record_that_there_is_is_found(tmp_path):
    write(tmp_path, record(POINT))
    far = record(Setting(5.0, 1.0), 12, 0.9)
    path = record_path(tmp_path, Setting(5.0, 1.0), 12)
    path.write_text(json.dumps(far))
    (tmp_path / "runs" / "notes.txt").write_text("mine")
    found = read_records(tmp_path, TheoryConfig(temperature=1.0, beta=1.0))
    assert found == {(POINT, 0): record(POINT), (Setting(5.0, 1.0), 12): far}
    assert read_records(tmp_path / "elsewhere", CONFIG) == {}
    with pytest.raises(RunError, match="its config should be"):
        read_records(tmp_path, TheoryConfig(temperature=1.0, beta=1.0, streams=3))
