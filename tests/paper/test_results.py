"""A published result is read whole and unedited, or one error names the file."""

import json
import math
import os
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.results import add_figure1, add_group, add_result, edit, move_to, reseal
from tiedlm.errors import RunError, TiedlmError
from tiedlm.paper.figure1 import read_outcomes
from tiedlm.paper.publish import check_result
from tiedlm.paper.results import Conditions, Parent, read_result, read_rows
from tiedlm.paper.tables import all_tables
from tiedlm.recipes import recipe

PROJECT = Path(__file__).parents[2]
NAME = "ptb-small-re"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two seeds of one row, the first with a second training, and one of another."""
    add_group(tmp_path / "results", "ptb-small", {"re": [(88.0, 85.0), (87.0,)], "vd": [(90.0,)]})
    return tmp_path / "results"


def test_the_projects_own_results_contradict_neither_themselves_nor_their_corpora() -> None:
    rows = read_rows(PROJECT / "results")
    results = [each for row in rows.values() for result in row.results.values() for each in result.trainings_in_order()]
    assert len(results) >= 28
    for result in results:
        check_result(result)


def test_a_result_is_what_was_written(results: Path) -> None:
    result = read_result(results / NAME / "seed-0")
    check_result(result)
    assert (result.config, result.trainings) == (recipe(NAME), 2)
    assert [each.scores["test"].perplexity for each in result.trainings_in_order()] == pytest.approx([88.0, 85.0])
    assert result.first is not None
    assert result.parent == Parent(NAME, 0, result.first.weights_sha256)
    assert result.valid_by_epoch[-1] == pytest.approx(90.0, abs=0.01)
    assert result.seconds == {Conditions(machine="a processor", precision="float32", threads=1): [90.0] * 40}


def test_epochs_count_where_they_ended(tmp_path: Path) -> None:
    moves = [move_to("elsewhere", 5, precision="bfloat16", threads=2), move_to("third", 40)]
    seconds = read_result(add_result(tmp_path, NAME, 0, 85.0, moves=moves)).seconds
    assert [(key.machine, key.precision, key.threads, len(epochs)) for key, epochs in seconds.items()] == [
        ("a processor", "float32", 1, 4),
        ("elsewhere", "bfloat16", 2, 35),
        ("third", "float32", 1, 1),
    ]


def test_what_a_killed_process_left_and_results_of_no_row_are_left_out(results: Path) -> None:
    shutil.copytree(results / NAME / "seed-0", results / NAME / f"seed-0.partial-{'0' * 32}")
    config = replace(recipe("demo-real"), seed=0)
    add_result(results, "demo-real", 0, 50.0, config=config)
    (results / "notes").mkdir()
    assert list(read_rows(results)[NAME].results) == [0, 1]


@pytest.mark.parametrize("name", ["metrics.jsonl", "provenance.json", "first-training/scores.json"])
@pytest.mark.parametrize("damage", ["edited", "missing", "link", "pipe"])
def test_a_damaged_file_is_named(results: Path, name: str, damage: str) -> None:
    path = results / NAME / "seed-0" / name
    content = path.read_bytes()
    path.unlink()
    if damage == "edited":
        path.write_bytes(content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])
    elif damage == "link":
        path.symlink_to(results / NAME / "seed-1" / Path(name).name)
    elif damage == "pipe":
        os.mkfifo(path)
    with pytest.raises(RunError, match=Path(name).name.replace(".", r"\.")):
        read_rows(results)


def test_a_file_that_is_not_listed_is_refused(results: Path) -> None:
    (results / NAME / "seed-0" / "first-training" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"first-training/notes\.txt is not listed in provenance\.json"):
        read_rows(results)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "format must be 'tiedlm-result'"),
        ({"version": 1}, r"of version 1, but this tiedlm reads version 2"),
        ({"commands": None}, "commands must be a list, but is 'None'"),
    ],
)
def test_a_provenance_of_another_kind_is_refused(results: Path, changes: dict[str, Any], message: str) -> None:
    reseal(results / NAME / "seed-1", **changes)
    with pytest.raises(RunError, match=message):
        read_rows(results)


FIELDS: list[tuple[str, Any, str]] = [
    ("scores.json", lambda v: v["test"].pop("words"), r"json: test\.words must be a whole number, but is 'None'"),
    ("scores.json", lambda v: v["valid"].update(perplexity=math.nan), r"not readable as JSON \(NaN"),
    ("scores.json", lambda v: v["valid"].update(perplexity=0.5), r"valid\.perplexity is 0\.5, which no text has"),
    ("environment.json", lambda v: v.pop("threads"), r"environment\.json: threads must be a whole number"),
    ("environment.json", lambda v: v.update(moves=[{"epoch": 1}]), "environment must be an object"),
    ("config.json", lambda v: v.pop("loss"), r"config\.json is not the config of a run"),
    ("config.json", lambda v: v["training"].update(epochs=39), r"metrics\.jsonl must have each of 39 epochs"),
    ("analysis.json", lambda v: v.update(format=7), "must be of format 1, but is of 7"),
    ("analysis.json", lambda v: v["blocks"]["a"]["sums"].pop(), r"analysis\.json: blocks\.a\.sums and counts must be"),
    ("analysis.json", lambda v: v["blocks"]["a"]["counts"].__setitem__(0, 1.5), r"counts\[0\] must be a whole number"),
    ("analysis.json", lambda v: v["next_words"][0].update(next=[["the"]]), r"next_words\[0\]\.next\[0\] must have 2"),
]


@pytest.mark.parametrize(("name", "change", "message"), FIELDS)
def test_a_field_that_is_missing_or_of_another_type(results: Path, name: str, change: Any, message: str) -> None:
    edit(results / NAME / "seed-1" / name, change)
    with pytest.raises(RunError, match=message):
        read_rows(results)


def test_a_result_of_another_recipe_seed_or_config_is_refused(results: Path) -> None:
    os.rename(results / NAME / "seed-1", results / NAME / "seed-7")
    with pytest.raises(RunError, match=r"seed-7 is a result of seed 1\. Name it seed-1"):
        read_rows(results)
    shutil.rmtree(results / NAME)
    shutil.copytree(results / "ptb-small-vd", results / NAME)
    with pytest.raises(RunError, match=f"is a result of the recipe 'ptb-small-vd', not of '{NAME}'"):
        read_rows(results)
    shutil.rmtree(results / NAME)
    whole = recipe(NAME)
    add_result(results, NAME, 0, 85.0, config=replace(whole, training=replace(whole.training, streams=10)))
    with pytest.raises(RunError, match=r"not a result of the recipe as it is now\. .*training\.streams is 10"):
        read_rows(results)


def test_folders_of_no_recipe_and_missing_folders_are_refused(results: Path) -> None:
    shutil.copytree(results / NAME, results / "ptb-smal-re")
    with pytest.raises(RunError, match=rf"no recipe of that name\. Did you mean '{NAME}'\?"):
        read_rows(results)
    with pytest.raises(RunError, match="is not a folder"):
        read_rows(results / "nowhere")
    with pytest.raises(RunError, match="is not a published result"):
        read_result(results / NAME)


def test_one_run_under_two_names_and_two_protocols_are_refused(results: Path) -> None:
    add_result(results, "ptb-small-vd", 1, 89.0, protocol="some words twice")
    with pytest.raises(RunError, match="under 2 protocols"):
        read_rows(results)
    weights = json.loads((results / NAME / "seed-1" / "provenance.json").read_bytes())["weights_sha256"]
    add_result(results, "ptb-small-vd", 1, 89.0)
    reseal(results / "ptb-small-vd" / "seed-1", weights_sha256=weights)
    with pytest.raises(RunError, match="are of the same weights"):
        read_rows(results)


CONTRADICTIONS: list[tuple[str, Any, str]] = [
    ("scores.json", lambda v: v["valid"].update(words=9, nll_nats=0.0, perplexity=1.0), "9 words of valid"),
    ("environment.json", lambda v: v.update(parent={"recipe": NAME, "seed": 1, "weights_sha256": "x"}), "started from"),
    ("analysis.json", lambda v: v.update(split="valid"), "is of valid under"),
    ("analysis.json", lambda v: v["score"].update(nll_nats=1e5), "but the scores are"),
]


@pytest.mark.parametrize(("name", "change", "message"), CONTRADICTIONS)
def test_contradictions_are_found_by_the_check(results: Path, name: str, change: Any, message: str) -> None:
    folder = results / NAME / "seed-1"
    edit(folder / name, change)
    with pytest.raises(RunError, match=message):
        check_result(read_result(folder))


def test_texts_other_than_published_are_found(tmp_path: Path) -> None:
    check_result(read_result(add_result(tmp_path, "wikitext2-half1-small-vd", 0, 150.0)))
    folder = add_result(tmp_path, NAME, 0, 85.0)
    reseal(folder, texts_sha256={"train": "x"})
    with pytest.raises(RunError, match="another train text"):
        check_result(read_result(folder))


def test_forged_results_are_read_or_refused_and_never_a_traceback(tmp_path: Path) -> None:
    """Right hashes over changed contents: every value of a result replaced at random, then all tables made."""
    draw = random.Random(1)
    junk = [None, True, -1, 0, 10**400, 1e308, "", "x" * 9, [], {}, [1], {"a": 1}]
    whole = tmp_path / "whole"
    add_group(whole, "ptb-small", {"vd": [(90.0,), (89.0,)], "real": [(88.0, 85.0), (87.0,)]})
    add_figure1(whole, runs=1)
    messages = []
    for _ in range(24):
        shutil.rmtree(tmp_path / "forged", ignore_errors=True)
        results = Path(shutil.copytree(whole, tmp_path / "forged"))
        folder = draw.choice([*results.glob("ptb-*/seed-*"), results / "figure1"])
        path = draw.choice([*folder.glob("[!p]*.json"), *folder.glob("runs/*.json")])
        value = json.loads(path.read_bytes())
        where: Any = value
        while True:
            keys = list(where) if isinstance(where, dict) else list(range(len(where)))
            key = draw.choice(keys)
            if not isinstance(where[key], (dict, list)) or not where[key] or draw.random() < 0.3:
                where[key] = draw.choice(junk)
                break
            where = where[key]
        path.write_text(json.dumps(value))
        reseal(folder)
        try:
            for table in all_tables(read_rows(results), read_outcomes(results)):
                assert table.markdown()
                assert table.csv()
        except TiedlmError as error:
            messages.append(str(error))
    assert len(messages) > 6
    assert all(str(tmp_path) in message or "A ratio needs" in message for message in messages)
