"""The fields of a result that tables and figures are made of, and their types: checked once, when a result is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tiedlm.errors import RunError
from tiedlm.paper.layout import METRICS, NOT_USED, Result

Types = Mapping[str, type]
"""Name of a field, with a dot before a field of its own → type; `float` takes whole numbers too."""

OF_PROVENANCE: Types = {
    "trainings": int,
    "weights_sha256": str,
    "texts_sha256": dict,
    "device": str,
    "processor": str,
    "training_seconds": float,
    "commands": list,
    "files": dict,
}
OF_CONFIG: Types = {"recipe": str, "seed": int, "corpus.name": str, "training.epochs": int}
OF_A_MOVE: Types = {
    "epoch": int,
    "runtime.precision": str,
    "environment.processor": str,
    "environment.device": str,
    "environment.threads": int,
}
OF_SCORES: Types = {
    "protocol": str,
    **{f"{split}.{name}": float for split in ("valid", "test") for name in ("perplexity", "nll_nats")},
    **{f"{split}.words": int for split in ("valid", "test")},
}
OF_AN_EPOCH: Types = {"epoch": int, "valid_perplexity": float, "seconds": float}
IN_WORDS = {int: "a whole number", float: "a number", str: "a text", dict: "a group of fields", list: "a list"}


def check_fields(told: Any, wanted: Types, path: Path) -> None:
    """Refuse JSON that lacks a field, or has one of another type.

    Args:
        told: the content of a file.
        wanted: the fields that it must have.
        path: the file, for the message.

    Raises:
        RunError: the first such field, what it should be and what it is.
    """
    for name, kind in wanted.items():
        value = _field(told, name)
        kinds = (int, float) if kind is float else kind
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise RunError(f"{path}: {name} should be {IN_WORDS[kind]}, but is {value!r}. {NOT_USED}")


def check_result_fields(result: Result) -> None:
    """Refuse a result whose config, scores or epochs lack a field that is read of them; raises as `check_fields`."""
    check_fields(result.config, OF_CONFIG, result.path / "config.json")
    check_fields(result.scores, OF_SCORES, result.path / "scores.json")
    for move in result.environment.get("moves", []):
        check_fields(move, OF_A_MOVE, result.path / "environment.json")
    for record in result.metrics:
        check_fields(record, {"event": str}, result.path / METRICS)
        if record["event"] == "epoch":
            check_fields(record, OF_AN_EPOCH, result.path / METRICS)


def _field(told: Any, name: str) -> Any:
    for part in name.split("."):
        told = told.get(part) if isinstance(told, dict) else None
    return told
