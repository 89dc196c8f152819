"""A finished run becomes a published result (see `layout`), without its weights and without paths of the machine."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tiedlm.checkpoint import RunFolder
from tiedlm.errors import RunError
from tiedlm.files import json_bytes
from tiedlm.reproduction.consistency import check_result
from tiedlm.reproduction.differences import check_is_recipe
from tiedlm.reproduction.layout import FIRST_PROVENANCE, FIRST_TRAINING, METRICS, PROVENANCE, Result, answered_for
from tiedlm.reproduction.place import place
from tiedlm.reproduction.provenance import provenance

THINNED = ("window",)
"""Events of the journal that are not published: many, and no figure is made of them."""


def publish(run: Path, results: Path, *, replace: bool = False) -> Path:
    """Write the result of a finished run and return its folder, `results/<recipe>/seed-<seed>`.

    The folder appears whole or not at all. A run that is published already changes nothing. A training that started
    from another run's weights brings that run's result along, so that run's folder must still be where it was.

    Args:
        run: the run folder.
        results: the folder of all results.
        replace: overwrite a result of this recipe and seed that is another one.

    Raises:
        RunError: a run that is missing, damaged, unfinished or contradicts itself; another result is there already; the
            disk is full or fails.
        ConfigError: the run's config is not that of a recipe, up to seed and runtime.
    """
    folder = RunFolder.open(run)
    contents = _contents(folder)
    config = folder.read_json("config")
    target = results / config["recipe"] / f"seed-{config['seed']}"
    if _differing(target, contents):
        _check_free(target, contents, replace)
        place(target, contents)
    return target


def _contents(folder: RunFolder) -> dict[str, bytes]:
    """Return name → content of a run's result, checked; names of the first training's files have its folder's name."""
    config, environment = folder.read_json("config"), folder.read_json("environment")
    try:
        check_is_recipe(config)
        _check_finished(folder)
        return _built(folder, config, environment)
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{folder.path} lacks what a result tells ({error!r}): its files were written by another version of "
            "tiedlm. Train it again to publish it."
        ) from error


def _built(folder: RunFolder, config: dict[str, Any], environment: dict[str, Any]) -> dict[str, bytes]:
    first = _first_training(folder, environment["parent"])
    metrics = [record for record in folder.journal.records() if record["event"] not in THINNED]
    files = {
        **first,
        "config.json": json_bytes(config),
        "environment.json": json_bytes(_without_paths(environment)),
        METRICS: b"".join(json.dumps(record, allow_nan=False).encode() + b"\n" for record in metrics),
        "scores.json": json_bytes(folder.read_json("scores")),
    }
    told = provenance(
        config=config,
        environment=environment,
        metrics=metrics,
        weights_sha256=hashlib.sha256(folder.read("weights")).hexdigest(),
        files={name: files[name] for name in answered_for(2 if first else 1)},
        first=json.loads(first[FIRST_PROVENANCE]) if first else None,
    )
    contents = {**files, PROVENANCE: json_bytes(told)}
    check_result(_result(folder.path, contents))
    return contents


def _first_training(folder: RunFolder, parent: dict[str, Any] | None) -> dict[str, bytes]:
    if parent is None:
        return {}
    try:
        origin = RunFolder.open(parent["path"])
        contents = _contents(origin)
    except RunError as error:
        raise RunError(
            f"{folder.path} started from the weights of another run, whose result belongs to its own: {error}"
        ) from error
    if json.loads(contents[PROVENANCE])["weights_sha256"] != parent["weights_sha256"]:
        raise RunError(
            f"{folder.path} started from other weights than {origin.path} has now: that run was trained anew or "
            "further since. Repeat the second training from it."
        )
    return {f"{FIRST_TRAINING}/{name}": content for name, content in contents.items()}


def _result(path: Path, contents: dict[str, bytes], prefix: str = "") -> Result:
    values = {n: json.loads(contents[f"{prefix}{n}.json"]) for n in ("config", "environment", "scores", "provenance")}
    inner = f"{prefix}{FIRST_TRAINING}/"
    first = _result(path, contents, inner) if f"{inner}{PROVENANCE}" in contents else None
    metrics = [json.loads(line) for line in contents[prefix + METRICS].splitlines()]
    return Result(path=path, metrics=metrics, first_training=first, **values)


def _check_finished(folder: RunFolder) -> None:
    if not (folder.has("scores") and folder.has("weights")):
        raise RunError(
            f"{folder.path} is not finished: it has no scores yet. Go on with it: "
            f"`tiedlm train --resume {folder.path}`."
        )


def _without_paths(environment: dict[str, Any]) -> dict[str, Any]:
    """Leave out the command line and the parent's folder, which hold paths of this machine; see `provenance`."""
    public = {name: value for name, value in environment.items() if name != "command"}
    if environment["parent"] is not None:
        public["parent"] = {name: value for name, value in environment["parent"].items() if name != "path"}
    return public


def _differing(target: Path, contents: dict[str, bytes]) -> list[str]:
    """Return the names of files that differ between a published result and `contents`, or are in one of them only."""
    there = {path.relative_to(target).as_posix(): path for path in target.rglob("*") if path.is_file()}
    names = sorted({*there, *contents})
    return [name for name in names if name not in there or there[name].read_bytes() != contents.get(name)]


def _check_free(target: Path, contents: dict[str, bytes], replace: bool) -> None:
    if target.exists() and not replace:
        raise RunError(
            f"{target} holds another result already ({', '.join(_differing(target, contents))} differ). Nothing was "
            "changed. Give --replace to put this one in its place, or another folder with --results."
        )
