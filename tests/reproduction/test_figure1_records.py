from __future__ import annotations

import json

import pytest

from tiedlm.config import to_json
from tiedlm.errors import RunError
from tiedlm.reproduction.figure1_records import FORMAT, Point, panels, read_record, record_path, write_points
from tiedlm.reproduction.theory_setting import TheoryConfig

CONFIG = TheoryConfig(temperature=10.0, beta=0.2)
POINT = Point(10.0, 0.2)
SPREAD = {"mean_norm": 1.0, "mean_cosine": 0.01, "effective_directions": 290.0}


def record(distance=0.5, config=CONFIG, run=0, words=3300):
    outcome = {
        "distance": distance,
        "words": words,
        "vectors": SPREAD,
        "classifier": SPREAD,
        "feature_norm_squared": 2.0,
        "cross_entropy_nats": 6.0,
        "augmented": 5.0,
    }
    environment = {"torch": "2"}
    return {"format": FORMAT, "config": to_json(config), "run": run, "outcome": outcome, "environment": environment}


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
    assert set(beta) & set(tau) == {Point(10.0, 1.0)}
    assert Point(2.0, 1.0) in tau


def test_a_record_is_read_as_it_was_written(tmp_path):
    write(tmp_path, record())
    assert read_record(tmp_path, CONFIG, POINT, 0) == record()


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("{", "not readable as JSON"),
        ("[]", "its format should be 1"),
        (record() | {"format": 2}, "its format should be 1"),
        (record(run=1), "its run should be 0"),
        (record(config=TheoryConfig(temperature=10.0, beta=0.2, epochs=3)), "its config should be"),
        (record(distance=1.5), "holds no distance"),
        (record() | {"outcome": {}}, "holds no distance"),
    ],
)
def test_a_record_of_something_else_is_refused_and_left_alone(tmp_path, value, told):
    path = write(tmp_path, value)
    before = path.read_bytes()
    with pytest.raises(RunError, match=told):
        read_record(tmp_path, CONFIG, POINT, 0)
    assert path.read_bytes() == before


def test_a_missing_record_is_named(tmp_path):
    with pytest.raises(RunError, match=r"tau-10-beta-0\.2-run-0\.json is missing"):
        read_record(tmp_path, CONFIG, POINT, 0)


def test_points_hold_every_run(tmp_path):
    points = dict.fromkeys(point for panel in panels().values() for point in panel)
    records = {
        (point, run): record(distance=point.beta / 2 + run / 100, words=3300 + run)
        for point in points
        for run in range(3)
    }
    content = json.loads(write_points(tmp_path, records, 3).read_text())
    assert (content["format"], content["words"], content["units"]) == (1, 3301, 300)
    assert content["command"] == f"tiedlm figure1 --runs 3 --epochs {CONFIG.epochs}"
    assert [entry["beta"] for entry in content["panels"]["beta"]] == [point.beta for point in panels()["beta"]]
    assert [entry["tau"] for entry in content["panels"]["tau"]] == [point.tau for point in panels()["tau"]]
    last = content["panels"]["beta"][-1]
    assert last["distances"] == [0.5, 0.51, 0.52]
    assert last["vectors_effective_directions"] == [290.0] * 3
    assert "beta" not in content["config"]
