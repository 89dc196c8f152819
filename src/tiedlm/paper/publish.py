"""A finished run becomes a published result (see `layout`), without its weights and without paths of the machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tiedlm.checkpoint import RunFolder
from tiedlm.errors import RunError
from tiedlm.files import json_bytes
from tiedlm.paper.consistency import check_result
from tiedlm.paper.differences import check_is_recipe
from tiedlm.paper.layout import (
    ANALYSIS,
    FIRST_PROVENANCE,
    FIRST_TRAINING,
    METRICS,
    PROVENANCE,
    VERSION,
    WITHOUT_ANALYSIS,
    Result,
    answered_for,
)
from tiedlm.paper.place import place
from tiedlm.paper.provenance import provenance
from tiedlm.paper.replacing import analyses_of, check_free, differing
from tiedlm.training.moves import moves_of

THINNED = ("window",)
"""Events of the journal that are not published: many, and no figure is made of them."""

Analyses = Callable[[RunFolder, str], bytes]
"""A run folder, and the sha256 of its weights → content of its `analysis.json`."""


def publish(
    run: Path, results: Path, *, replace: bool = False, data_dir: Path | None = None, device: str = "cpu"
) -> Path:
    """Write the result of a finished run and return its folder, `results/<recipe>/seed-<seed>`.

    The folder appears whole or not at all. A run that is published already changes nothing; where its result is of a
    version without an analysis, that is added. A training that started from another run's weights brings that run's
    result along, so that run's folder must still be where it was, and takes the place of that result. The weights are
    measured in one pass over the test text, those of which there is an analysis already excepted.

    Args:
        run: the run folder.
        results: the folder of all results.
        replace: overwrite a result of this recipe and seed that is another one, and measure the run in any case.
        data_dir: where the run's corpus is; None looks in the usual data folder.
        device: what the weights are measured on.

    Raises:
        RunError: a run that is missing, damaged, unfinished or contradicts itself; another result is there already; the
            disk is full or fails.
        ConfigError: the run's config is not that of a recipe, up to seed and runtime; or there is no such device here.
        CorpusError: its corpus is missing or unusable.
    """
    folder = RunFolder.open(run)
    unmeasured = _contents(folder, None)
    config = folder.read_json("config")
    target = results / config["recipe"] / f"seed-{config['seed']}"
    if not replace:
        check_free(target, unmeasured)
    known = analyses_of(target, even_damaged=replace)
    if replace:
        known.pop(json.loads(unmeasured[PROVENANCE])["weights_sha256"], None)
    contents = _contents(folder, _measuring(known, data_dir, device))
    if differing(target, contents):
        place(target, contents)
    return target


def _measuring(known: dict[str, bytes], data_dir: Path | None, device: str) -> Analyses:
    """Return what measures a run unless there is an analysis of its weights: `known`, by their sha256."""

    def analysis(folder: RunFolder, weights_sha256: str) -> bytes:
        if weights_sha256 in known:
            return known[weights_sha256]
        from tiedlm.paper.measurement import measure  # here, so that what measures nothing loads no torch

        return json_bytes(measure(folder.path, data_dir, device))

    return analysis


def _contents(folder: RunFolder, analyses: Analyses | None) -> dict[str, bytes]:
    """Return name → content of a run's result, checked; names of the first training's files have its folder's name."""
    config, environment = folder.read_json("config"), _environment(folder)
    try:
        check_is_recipe(config)
        _check_finished(folder)
        return _built(folder, config, environment, analyses)
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(
            f"{folder.path} lacks what a result tells ({error!r}): its files were written by another version of "
            "tiedlm. Train it again to publish it."
        ) from error


def _built(
    folder: RunFolder, config: dict[str, Any], environment: dict[str, Any], analyses: Analyses | None
) -> dict[str, bytes]:
    first = _first_training(folder, environment["parent"], analyses)
    metrics = [record for record in folder.journal.records() if record["event"] not in THINNED]
    weights_sha256 = hashlib.sha256(folder.read("weights")).hexdigest()
    files = {
        **first,
        "config.json": json_bytes(config),
        "environment.json": json_bytes(_without_paths(environment)),
        METRICS: b"".join(json.dumps(record, allow_nan=False).encode() + b"\n" for record in metrics),
        "scores.json": json_bytes(folder.read_json("scores")),
        **({} if analyses is None else {ANALYSIS: analyses(folder, weights_sha256)}),
    }
    version = WITHOUT_ANALYSIS if analyses is None else VERSION
    told = provenance(
        config=config,
        environment=environment,
        metrics=metrics,
        weights_sha256=weights_sha256,
        files={name: files[name] for name in answered_for(2 if first else 1, version)},
        first=json.loads(first[FIRST_PROVENANCE]) if first else None,
    )
    contents = {**files, PROVENANCE: json_bytes(told)}
    check_result(_result(folder.path, contents))
    return contents


def _first_training(folder: RunFolder, parent: dict[str, Any] | None, analyses: Analyses | None) -> dict[str, bytes]:
    if parent is None:
        return {}
    try:
        origin = RunFolder.open(parent["path"])
        contents = _contents(origin, analyses)
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
    analysis = json.loads(contents.get(prefix + ANALYSIS, b"null"))
    return Result(path=path, metrics=metrics, first_training=first, analysis=analysis, **values)


def _check_finished(folder: RunFolder) -> None:
    if not (folder.has("scores") and folder.has("weights")):
        raise RunError(
            f"{folder.path} is not finished: it has no scores yet. Go on with it: "
            f"`tiedlm train --resume {folder.path}`."
        )


def _environment(folder: RunFolder) -> dict[str, Any]:
    """Return what a run tells of its machines: where it began, and under `moves` where it went on."""
    environment, moves = folder.read_json("environment"), moves_of(folder)
    return {**environment, "moves": moves} if moves else environment


def _without_paths(environment: dict[str, Any]) -> dict[str, Any]:
    """Leave out the command line and the parent's folder, which hold paths of this machine; see `provenance`."""
    public = {name: value for name, value in environment.items() if name != "command"}
    if environment["parent"] is not None:
        public["parent"] = {name: value for name, value in environment["parent"].items() if name != "path"}
    return public
