"""Reading a result; and every result that is published with the project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.finished_run import make_run
from support.invented_analysis import instead_of_measuring
from tiedlm.errors import RunError
from tiedlm.files import sha256
from tiedlm.paper.differences import check_is_recipe
from tiedlm.paper.figure1_points import PLACE
from tiedlm.paper.layout import checksum
from tiedlm.paper.publish import publish
from tiedlm.paper.result import read_result

RESULTS = Path(__file__).resolve().parents[2] / "results"


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The result of a second training."""
    instead_of_measuring(monkeypatch)
    first = make_run(tmp_path / "first", weights=b"1")
    return publish(make_run(tmp_path / "second", weights=b"2", parent=first).path, tmp_path / "results")


def faults(results: Path) -> list[str]:
    """What is wrong below a folder of results: one line for each row's result that is not as it should be."""
    found = []
    for folder in sorted(path for path in results.glob("*/*") if path.is_dir() and path.parent.name != PLACE.name):
        try:
            result = read_result(folder)
            check_is_recipe(result.config)
        except (RunError, ValueError) as error:
            found.append(str(error))
            continue
        if (folder.parent.name, folder.name) != (result.config["recipe"], f"seed-{result.config['seed']}"):
            found.append(f"{folder} holds seed {result.config['seed']} of {result.config['recipe']}")
    return found


def test_every_published_result_of_the_project_is_well_formed():
    assert faults(RESULTS) == []


def test_that_check_can_fail(published, tmp_path):
    results = tmp_path / "results"
    assert faults(results) == []
    moved = published.rename(published.with_name("seed-1"))
    assert faults(results) == [f"{moved} holds seed 0 of ptb-small-re"]
    (moved / "scores.json").write_text("{}")
    assert "scores.json is damaged or was edited" in faults(results)[0]


@pytest.mark.parametrize("inner", ["", "first-training/"])
@pytest.mark.parametrize(
    "name", ["analysis.json", "config.json", "environment.json", "metrics.jsonl", "provenance.json", "scores.json"]
)
def test_an_edited_or_missing_file_is_named(published, inner, name):
    path = published / (inner + name)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"1", b"2", 1))
    with pytest.raises(RunError, match=rf"{inner}{name} is damaged or was edited"):
        read_result(published)
    path.unlink()
    with pytest.raises(RunError, match=rf"{inner}{name} is missing|has no provenance.json"):
        read_result(published)
    path.write_bytes(content)
    assert read_result(published).config["recipe"] == "ptb-small-re"


def test_a_file_too_many_is_named(published):
    (published / "weights.safetensors").write_bytes(b"")
    with pytest.raises(RunError, match=r"weights.safetensors is no part of a result"):
        read_result(published)


def test_another_first_training_is_refused(published, tmp_path):
    other = publish(make_run(tmp_path / "other", weights=b"3").path, tmp_path / "others")
    for path in other.iterdir():
        (published / "first-training" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(RunError, match=r"first-training/provenance.json is damaged or was edited"):
        read_result(published)


def test_a_folder_without_provenance_is_no_result(tmp_path):
    with pytest.raises(RunError, match=r"is not a published result: .* `tiedlm publish RUN` makes one"):
        read_result(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 3}, "is of version 3, but this tiedlm reads versions up to 2"),
        ({"version": 1}, "does not agree with its own checksum"),
        ({"version": 0}, "does not agree with its own checksum"),
        ({"format": "other"}, "belongs to another program"),
        ({"trainings": 1}, "does not agree with its own checksum"),
    ],
)
def test_foreign_newer_or_edited_provenance_is_refused(published, changes, message):
    path = published / "provenance.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))
    with pytest.raises(RunError, match=message):
        read_result(published)


def test_scores_with_all_checksums_made_anew_are_still_held_against_themselves(published):
    scores = json.loads((published / "scores.json").read_bytes())
    scores["test"]["perplexity"] -= 1
    (published / "scores.json").write_text(json.dumps(scores))
    told = json.loads((published / "provenance.json").read_bytes())
    told["files"]["scores.json"] = sha256(published / "scores.json")
    (published / "provenance.json").write_text(json.dumps(told | {"checksum": checksum(told)}))
    with pytest.raises(RunError, match="the test perplexity is"):
        read_result(published)


def test_a_provenance_with_its_checksum_made_anew_does_not_hide_the_first_training(published):
    path = published / "provenance.json"
    told = json.loads(path.read_bytes()) | {"trainings": 1}
    path.write_text(json.dumps(told | {"checksum": checksum(told)}))
    with pytest.raises(RunError, match="first-training is no part of a result"):
        read_result(published)


def test_a_provenance_that_does_not_answer_for_the_analysis_is_refused(published):
    path = published / "provenance.json"
    told = json.loads(path.read_bytes())
    del told["files"]["analysis.json"]
    path.write_text(json.dumps(told | {"checksum": checksum(told)}))
    with pytest.raises(RunError, match=r"provenance\.json is damaged or was edited: it does not answer for analysis"):
        read_result(published)


def test_damaged_json_is_named(published):
    (published / "provenance.json").write_text("{")
    with pytest.raises(RunError, match=r"provenance.json is not readable as JSON"):
        read_result(published)
