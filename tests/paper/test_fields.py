"""Results whose files are sealed, but tell what no version of the package tells."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.published_results import add_result, reseal
from tiedlm.errors import RunError
from tiedlm.paper.fields import check_fields
from tiedlm.paper.result import read_result

Edit = Callable[[Any], Any]


def test_every_field_is_held_to_its_type() -> None:
    told = {"seed": 0, "corpus": {"name": "ptb"}, "seconds": 2}
    good = {"seed": int, "corpus": dict, "corpus.name": str, "seconds": float}
    check_fields(told, good, Path("there"))
    for name, kind, message in [
        ("sead", int, "sead should be a whole number, but is None"),
        ("corpus.size", float, r"corpus\.size should be a number, but is None"),
        ("seed.name", str, r"seed\.name should be a text, but is None"),
        ("seed", list, "seed should be a list, but is 0"),
        ("corpus", str, "corpus should be a text, but is {'name': 'ptb'}"),
    ]:
        with pytest.raises(RunError, match=f"there: {message}"):
            check_fields(told, {**good, name: kind}, Path("there"))
    with pytest.raises(RunError, match="seed should be a whole number, but is True"):
        check_fields({"seed": True}, {"seed": int}, Path("there"))
    with pytest.raises(RunError, match="seed should be a whole number, but is None"):
        check_fields([], {"seed": int}, Path("there"))


def without(name: str) -> Edit:
    return lambda told: {field: value for field, value in told.items() if field != name}


@pytest.mark.parametrize(
    ("file", "edit", "message"),
    [
        ("config.json", without("seed"), r"config\.json: seed should be a whole number"),
        (
            "config.json",
            lambda told: told | {"seed": [1]},
            r"config\.json: seed should be .*, but is \[1\]",
        ),
        ("config.json", without("corpus"), r"corpus\.name should be a text"),
        ("scores.json", without("protocol"), r"scores\.json: protocol should be a text"),
        ("scores.json", lambda told: told | {"test": {}}, r"test\.perplexity should be a number"),
    ],
)
def test_a_file_that_lacks_what_is_read_of_it(tmp_path: Path, file: str, edit: Edit, message: str) -> None:
    folder = add_result(tmp_path, "ptb-small-vd", 0, 87.0)
    (folder / file).write_text(json.dumps(edit(json.loads((folder / file).read_text()))))
    reseal(folder)
    with pytest.raises(RunError, match=message):
        read_result(folder)


@pytest.mark.parametrize("name", ["epoch", "valid_perplexity", "seconds"])
def test_an_epoch_that_lacks_what_is_read_of_it(tmp_path: Path, name: str) -> None:
    folder = add_result(tmp_path, "ptb-small-vd", 0, 87.0)
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    del records[-1][name]
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    reseal(folder)
    with pytest.raises(RunError, match=rf"metrics\.jsonl: {name} should be a"):
        read_result(folder)


@pytest.mark.parametrize(
    "name", ["trainings", "weights_sha256", "texts_sha256", "device", "processor", "training_seconds", "commands"]
)
def test_a_provenance_that_lacks_a_field_or_has_another_type(tmp_path: Path, name: str) -> None:
    folder = add_result(tmp_path, "ptb-small-vd", 0, 87.0)
    reseal(folder, **{name: None})
    with pytest.raises(RunError, match=rf"provenance\.json: {name} should be .*, but is None"):
        read_result(folder)
