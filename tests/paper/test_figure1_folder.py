"""The folder of Figure 1's results, made of records, and held against itself."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

from support.figure1_record import record
from support.published_results import reseal
from tiedlm.cli.reproduce import ReproduceArgs
from tiedlm.config import to_json
from tiedlm.errors import RunError
from tiedlm.launching import parse_seeds
from tiedlm.paper.figure1_folder import check_folder, write_folder
from tiedlm.paper.figure1_points import read_points
from tiedlm.paper.figure1_records import TRAINING, Setting, panels, read_records, record_path, settings
from tiedlm.paper.layout import checksum


@pytest.fixture
def records(tmp_path):
    """Three runs of every point, as they stand in the folder."""
    found = {(point, run): record(point, run) for point in settings() for run in range(3)}
    for (point, run), content in found.items():
        path = record_path(tmp_path / "figure1", point, run)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return found


@pytest.fixture
def folder(tmp_path, records):
    write_folder(tmp_path / "figure1", TRAINING, records, (0, 1, 2))
    return tmp_path / "figure1"


def read(folder, name):
    return json.loads((folder / name).read_text())


def test_points_hold_every_run(folder):
    content = read(folder, "points.json")
    assert (content["format"], content["units"], content["runs"]) == (2, 300, [0, 1, 2])
    assert content["words_by_run"] == {"0": 3300, "1": 3301, "2": 3302}
    assert [entry["beta"] for entry in content["panels"]["beta"]] == [point.beta for point in panels()["beta"]]
    assert [entry["tau"] for entry in content["panels"]["tau"]] == [point.tau for point in panels()["tau"]]
    last = content["panels"]["beta"][-1]
    assert last["distances"] == {"0": 0.5, "1": 0.51, "2": 0.52}
    assert last["vectors_effective_directions"] == {"0": 290.0, "1": 290.0, "2": 290.0}
    assert last["cross_entropy_nats"]["2"] == 6.0


def test_config_environments_and_command_stand_beside_them(folder):
    assert read(folder, "config.json") == {
        name: value for name, value in to_json(TRAINING).items() if name not in ("temperature", "beta")
    }
    assert read(folder, "environment.json") == [
        {"torch": "2", "processor": "number 0"},
        {"torch": "2", "processor": "number 1"},
    ]
    told = read(folder, "provenance.json")
    assert told["training_seconds"] == 60.0 * 3 * len(settings())
    program, command, *words = shlex.split(told["command"])
    assert (program, command, words) == ("tiedlm", "reproduce", ["figure1", "--seeds", "0-2"])
    assert hasattr(ReproduceArgs, "seeds")
    assert parse_seeds(words[-1]) == [0, 1, 2]


def test_what_is_published_is_of_todays_training_and_made_of_its_records(tmp_path):
    published = Path(__file__).resolve().parents[2] / "results" / "figure1"
    again = tmp_path / "figure1"
    shutil.copytree(published / "runs", again / "runs")
    there = read_records(again, TRAINING)
    assert len(there) == len(list((published / "runs").iterdir())) > 0
    write_folder(again, TRAINING, there, read(published, "points.json")["runs"])
    for path in published.glob("*.json"):
        assert (again / path.name).read_bytes() == path.read_bytes()


def test_it_is_read_and_has_nothing_missing(folder):
    found = read_points(folder.parent)
    assert found is not None
    assert (found.words, found.missing()) == (3301, {})


def test_what_is_there_is_written_and_the_rest_is_missing(tmp_path, records):
    half = {(point, run): content for (point, run), content in records.items() if run == 1 and point.tau == 10}
    for point, run in records.keys() - half.keys():
        record_path(tmp_path / "figure1", point, run).unlink()
    write_folder(tmp_path / "figure1", TRAINING, half, (1, 4))
    found = read_points(tmp_path)
    assert found is not None
    assert found.runs == (1, 4)
    assert found.missing()[10.0, 0.0] == [4]
    assert found.missing()[2.0, 1.0] == [1, 4]
    assert read(tmp_path / "figure1", "provenance.json")["command"].endswith("--seeds 1,4")


def test_without_a_run_nothing_is_written(tmp_path):
    write_folder(tmp_path / "figure1", TRAINING, {}, (0,))
    assert not (tmp_path / "figure1").exists()
    assert read_points(tmp_path) is None


@pytest.mark.parametrize(
    "name", ["config.json", "environment.json", "points.json", "provenance.json", "runs/tau-2-beta-1-run-1.json"]
)
def test_an_edited_or_missing_file_is_named(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))
    with pytest.raises(RunError, match=rf"{name} is damaged or was edited"):
        check_folder(folder, TRAINING)
    path.unlink()
    with pytest.raises(RunError, match=rf"{name} is missing"):
        read_points(folder.parent)


@pytest.mark.parametrize("changes", [{"version": 2}, {"format": "other"}])
def test_another_format_is_refused(folder, changes):
    told = read(folder, "provenance.json") | changes
    (folder / "provenance.json").write_text(json.dumps(told | {"checksum": checksum(told)}))
    with pytest.raises(RunError, match="must be of format 'tiedlm-figure1', version 1"):
        check_folder(folder, TRAINING)


def test_a_folder_of_another_training_is_refused(folder):
    config = read(folder, "config.json")
    config["apart"]["epochs"] = 999
    (folder / "config.json").write_text(json.dumps(config))
    reseal(folder)
    with pytest.raises(RunError, match=r"config\.json is of another training .*: apart\.epochs is 999, now 60\. "):
        read_points(folder.parent)
    write_folder(folder, TRAINING, read_records(folder, TRAINING), (0, 1, 2))  # what the message says to do
    check_folder(folder, TRAINING)


@pytest.mark.parametrize("edit", [lambda told: told | {"epochs_of_old": 1}, lambda told: [told]])
def test_a_config_of_other_fields_is_refused(folder, edit):
    (folder / "config.json").write_text(json.dumps(edit(read(folder, "config.json"))))
    reseal(folder)
    with pytest.raises(RunError, match=r"config\.json is of another training than Figure 1's as it is now: config"):
        read_points(folder.parent)


@pytest.mark.parametrize("name", ["extra.txt", "runs/tau-3-beta-1-run-0.json", "runs/notes/mine.txt"])
def test_a_file_that_is_no_part_of_the_figure_is_refused(folder, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("{}")
    with pytest.raises(RunError, match=rf"{name} is no part of the figure: .* move it elsewhere"):
        read_points(folder.parent)


def test_a_run_that_was_finished_since_is_taken_in_by_the_command_that_is_named(folder):
    point = Setting(2.0, 1.0)
    record_path(folder, point, 9).write_text(json.dumps(record(point, 9)))
    with pytest.raises(RunError, match=r"run-9\.json is no part .* give `tiedlm reproduce figure1` again"):
        read_points(folder.parent)
    write_folder(folder, TRAINING, read_records(folder, TRAINING), (0, 1, 2))
    check_folder(folder, TRAINING)


def test_what_a_killed_writer_left_is_no_fault(folder):
    (folder / "runs" / "tau-2-beta-1-run-9.json.123.partial").write_text("{")
    check_folder(folder, TRAINING)
